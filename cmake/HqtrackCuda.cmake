# Decides whether the CUDA kernels are compiled: sets HQTRACK_WITH_CUDA.
set(HQTRACK_WITH_CUDA OFF)
if(NOT HQTRACK_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "HQTRACK_CUDA: expected AUTO, ON or OFF, found '${HQTRACK_CUDA}'")
endif()
if(NOT HQTRACK_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  # LibTorch's CUDA wheel leaves the libraries of CUDA to other packages: without them the program could not start.
  set(missing "")
  if(LibTorch_CUDA_FOUND)
    execute_process(COMMAND ldd ${LibTorch_torch_cuda_LIBRARY} OUTPUT_VARIABLE libraries ERROR_QUIET)
    string(REGEX MATCHALL "[^ \t\n]+ => not found" missing "${libraries}")
    list(TRANSFORM missing REPLACE " => not found" "")
    list(REMOVE_ITEM missing libcuda.so.1) # the driver's own, on the machine that has a GPU
  endif()
  if(CMAKE_CUDA_COMPILER AND LibTorch_CUDA_FOUND AND NOT missing)
    set(HQTRACK_WITH_CUDA ON)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES 80 90)
    endif()
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)
      message(FATAL_ERROR "CUDA: expected nvcc 12.0 or newer (C++20), found ${CMAKE_CUDA_COMPILER_VERSION} at "
                          "${CMAKE_CUDA_COMPILER}; -DHQTRACK_CUDA=OFF builds without it")
    endif()
    # CMake before 3.26 does not know what nvcc's C++20 is called.
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA_STANDARD 20)
    find_package(CUDAToolkit REQUIRED)
  elseif(HQTRACK_CUDA STREQUAL "ON")
    message(FATAL_ERROR "HQTRACK_CUDA=ON: expected nvcc and a LibTorch with CUDA, "
                        "found nvcc: '${CMAKE_CUDA_COMPILER}', LibTorch CUDA: ${LibTorch_CUDA_FOUND}, "
                        "libraries it lacks: '${missing}'")
  endif()
endif()
message(STATUS "CUDA kernels: ${HQTRACK_WITH_CUDA}")
