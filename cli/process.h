#pragma once

namespace hqtrack {

/// Makes the process fit for a program that writes files and pipes: standard streams that were closed read
/// and write nothing, a broken pipe is an error of the write and not the end, and memory that was freed is
/// kept for the next frame. Called first in main.
void prepare_process();

/// Memory that is freed goes back to the system, where `prepare_process` keeps much of it for the next frame.
void give_back_freed_memory();

}  // namespace hqtrack
