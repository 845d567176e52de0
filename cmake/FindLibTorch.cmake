# Finds LibTorch without its own package file, which drags CUDA into CPU builds and chooses architectures itself.
#
# Looked for, in this order: LIBTORCH_ROOT (variable or environment), every CMAKE_PREFIX_PATH entry (a LibTorch folder
# or a site-packages/torch folder), third_party/libtorch (put there by scripts/setup.sh).
#
# Targets: LibTorch::cpu (torch_cpu, c10) and, where the CUDA libraries are there, LibTorch::cuda.
# Variables: LibTorch_VERSION, LibTorch_CUDA_FOUND.

set(_libtorch_hints ${LIBTORCH_ROOT} $ENV{LIBTORCH_ROOT} ${CMAKE_PREFIX_PATH} ${PROJECT_SOURCE_DIR}/third_party/libtorch)
find_path(LibTorch_INCLUDE_DIR ATen/ATen.h HINTS ${_libtorch_hints} PATH_SUFFIXES include NO_DEFAULT_PATH)
find_path(LibTorch_INCLUDE_DIR ATen/ATen.h)
if(LibTorch_INCLUDE_DIR)
  get_filename_component(LibTorch_ROOT_DIR ${LibTorch_INCLUDE_DIR} DIRECTORY)
endif()
foreach(lib torch_cpu c10 torch_cuda c10_cuda)
  find_library(LibTorch_${lib}_LIBRARY ${lib} HINTS ${LibTorch_ROOT_DIR}/lib NO_DEFAULT_PATH)
  find_library(LibTorch_${lib}_LIBRARY ${lib})
  mark_as_advanced(LibTorch_${lib}_LIBRARY)
endforeach()

if(LibTorch_INCLUDE_DIR AND EXISTS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h)
  file(STRINGS ${LibTorch_INCLUDE_DIR}/torch/headeronly/version.h _libtorch_version REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH)")
elseif(LibTorch_INCLUDE_DIR AND EXISTS ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h)
  file(STRINGS ${LibTorch_INCLUDE_DIR}/torch/csrc/api/include/torch/version.h _libtorch_version REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH)")
endif()
string(REGEX MATCHALL "[0-9]+" _libtorch_version "${_libtorch_version}")
list(JOIN _libtorch_version "." LibTorch_VERSION)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch
  REQUIRED_VARS LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  REASON_FAILURE_MESSAGE "Run scripts/setup.sh, or give -DLIBTORCH_ROOT=DIR or -DCMAKE_PREFIX_PATH=DIR (at least 2.11)")

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  add_library(LibTorch::c10 UNKNOWN IMPORTED)
  set_target_properties(LibTorch::c10 PROPERTIES
    IMPORTED_LOCATION ${LibTorch_c10_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES "${LibTorch_INCLUDE_DIR};${LibTorch_INCLUDE_DIR}/torch/csrc/api/include")
  add_library(LibTorch::cpu UNKNOWN IMPORTED)
  # OpenMP by its flag: LibTorch brings the library that has to be loaded.
  # torch_cpu of the CUDA wheel names CUDA libraries of its own: they are resolved when it is loaded.
  set_target_properties(LibTorch::cpu PROPERTIES
    IMPORTED_LOCATION ${LibTorch_torch_cpu_LIBRARY}
    INTERFACE_LINK_LIBRARIES LibTorch::c10
    INTERFACE_COMPILE_OPTIONS "$<$<COMPILE_LANGUAGE:CXX>:-fopenmp>"
    INTERFACE_LINK_OPTIONS "$<$<LINK_LANGUAGE:CXX>:-fopenmp>;LINKER:--allow-shlib-undefined")
  set(LibTorch_CUDA_FOUND FALSE)
  if(LibTorch_torch_cuda_LIBRARY AND LibTorch_c10_cuda_LIBRARY)
    set(LibTorch_CUDA_FOUND TRUE)
    add_library(LibTorch::c10_cuda UNKNOWN IMPORTED)
    set_target_properties(LibTorch::c10_cuda PROPERTIES
      IMPORTED_LOCATION ${LibTorch_c10_cuda_LIBRARY} INTERFACE_LINK_LIBRARIES LibTorch::c10)
    add_library(LibTorch::cuda UNKNOWN IMPORTED)
    # Kept although nothing of ours names a symbol of it: its registrations are what is wanted.
    set_target_properties(LibTorch::cuda PROPERTIES
      IMPORTED_LOCATION ${LibTorch_torch_cuda_LIBRARY}
      INTERFACE_LINK_LIBRARIES "LibTorch::c10_cuda;LibTorch::cpu"
      INTERFACE_LINK_OPTIONS "LINKER:--no-as-needed")
  endif()
endif()
mark_as_advanced(LibTorch_INCLUDE_DIR)
