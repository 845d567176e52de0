#pragma once

namespace hqtrack {

/// Of the whole process: memory that was freed is kept for the next frame. Feature maps of many megabytes
/// come and go with every frame; by default each one is mapped, cleared page by page and unmapped again, and
/// every thread keeps a heap of its own. Before there is a second thread.
void keep_freed_memory();

/// From now on it goes back to the system, what is free now as well.
void give_back_freed_memory();

}  // namespace hqtrack
