# cmake --install BUILD --prefix DIR gives a tree that can be moved:
#   bin/hqtrack                      the program; finds its libraries, configs and models relative to itself
#   lib/libhqtrack_*.a               one library a folder
#   lib/hqtrack/                     LibTorch's run-time libraries (HQTRACK_INSTALL_LIBTORCH)
#   lib/cmake/hqtrack/               find_package(hqtrack), with the modules that find LibTorch and OpenCV
#   include/hqtrack/<folder>/*.h
#   share/hqtrack/configs, models
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

option(HQTRACK_INSTALL_LIBTORCH "Install the libraries of LibTorch that the program loads" ON)

set(_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hqtrack)
set(_private_lib_dir ${CMAKE_INSTALL_LIBDIR}/hqtrack)
set(HQTRACK_SHARE_DIR ${CMAKE_INSTALL_DATADIR}/hqtrack)
get_filename_component(_libtorch_lib_dir ${LibTorch_torch_cpu_LIBRARY} DIRECTORY)

# Libraries and headers, folder by folder.
set(_libraries)
foreach(folder core tracker refiner selector io pipeline control eval train)
  if(TARGET hqtrack_${folder})
    list(APPEND _libraries hqtrack_${folder})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hqtrack
            FILES_MATCHING PATTERN "*.h")
  endif()
endforeach()
install(TARGETS ${_libraries} EXPORT hqtrackTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

# Program.
if(TARGET hqtrack)
  if(HQTRACK_INSTALL_LIBTORCH)
    file(RELATIVE_PATH _from_bin /${CMAKE_INSTALL_BINDIR} /${_private_lib_dir})
    set_target_properties(hqtrack PROPERTIES INSTALL_RPATH "$ORIGIN/${_from_bin}")
  else()
    set_target_properties(hqtrack PROPERTIES INSTALL_RPATH ${_libtorch_lib_dir})
  endif()
  install(TARGETS hqtrack RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

# What the program loads of LibTorch. The CUDA toolkit, cuDNN and NCCL stay where the system has them.
if(HQTRACK_INSTALL_LIBTORCH)
  set(_patterns libc10.so* libtorch_cpu.so* libgomp*.so* libcudart*.so* libcupti*.so*)
  if(HQTRACK_WITH_CUDA)
    list(APPEND _patterns libc10_cuda.so* libtorch_cuda*.so* libtorch_nvshmem.so* libcaffe2_nvrtc.so*
         libcufile*.so* libcusparseLt*.so* libnvshmem_host*.so*)
  endif()
  list(TRANSFORM _patterns PREPEND ${_libtorch_lib_dir}/)
  file(GLOB _files ${_patterns})
  install(FILES ${_files} DESTINATION ${_private_lib_dir})
endif()

# Data, and pages beside it, as their links want it.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs ${PROJECT_SOURCE_DIR}/models ${PROJECT_SOURCE_DIR}/docs
        DESTINATION ${HQTRACK_SHARE_DIR})
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/CHANGELOG.md DESTINATION ${HQTRACK_SHARE_DIR})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${PROJECT_SOURCE_DIR}/third_party/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME third_party.md)

# CMake package.
install(EXPORT hqtrackTargets NAMESPACE hqtrack:: DESTINATION ${_package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/hqtrackConfig.cmake.in ${PROJECT_BINARY_DIR}/hqtrackConfig.cmake
  INSTALL_DESTINATION ${_package_dir} PATH_VARS HQTRACK_SHARE_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hqtrackConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hqtrackConfig.cmake ${PROJECT_BINARY_DIR}/hqtrackConfigVersion.cmake
              ${CMAKE_CURRENT_LIST_DIR}/FindLibTorch.cmake ${CMAKE_CURRENT_LIST_DIR}/FindOpenCV.cmake
        DESTINATION ${_package_dir})
