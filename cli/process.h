#pragma once

namespace hqtrack {

/// Makes the process fit for a program that writes files and pipes: standard streams that were closed read
/// and write nothing, a broken pipe or a limit of file sizes is an error of the write and not the end, and
/// memory that was freed is kept for the next frame. Called first in main.
void prepare_process();

}  // namespace hqtrack
