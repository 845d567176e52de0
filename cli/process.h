#pragma once

namespace hqtrack {

/// Makes the process fit for a program that writes files and pipes: standard streams that were closed read
/// and write nothing, a broken pipe is an error of the write and not the end, and waiting OpenMP threads
/// sleep. Called first in main; may start the program afresh (once, as the OpenMP library reads its settings
/// before main).
void prepare_process(char** argv);

}  // namespace hqtrack
