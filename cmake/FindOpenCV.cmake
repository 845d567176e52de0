# Finds OpenCV's core and imgproc without OpenCVConfig.cmake, which Debian ships only in a package that brings every module.
# Targets: opencv_core, opencv_imgproc.
find_path(OpenCV_INCLUDE_DIR opencv2/core.hpp PATH_SUFFIXES opencv4)
foreach(lib core imgproc)
  find_library(OpenCV_${lib}_LIBRARY opencv_${lib})
endforeach()
if(OpenCV_INCLUDE_DIR)
  file(STRINGS ${OpenCV_INCLUDE_DIR}/opencv2/core/version.hpp _opencv_version REGEX "define CV_VERSION_(MAJOR|MINOR|REVISION)")
  string(REGEX MATCHALL "[0-9]+" _opencv_version "${_opencv_version}")
  list(JOIN _opencv_version "." OpenCV_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenCV REQUIRED_VARS OpenCV_core_LIBRARY OpenCV_imgproc_LIBRARY OpenCV_INCLUDE_DIR
  VERSION_VAR OpenCV_VERSION)
if(OpenCV_FOUND AND NOT TARGET opencv_core)
  add_library(opencv_core UNKNOWN IMPORTED)
  set_target_properties(opencv_core PROPERTIES IMPORTED_LOCATION ${OpenCV_core_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${OpenCV_INCLUDE_DIR})
  add_library(opencv_imgproc UNKNOWN IMPORTED)
  set_target_properties(opencv_imgproc PROPERTIES IMPORTED_LOCATION ${OpenCV_imgproc_LIBRARY} INTERFACE_LINK_LIBRARIES opencv_core)
endif()
mark_as_advanced(OpenCV_INCLUDE_DIR OpenCV_core_LIBRARY OpenCV_imgproc_LIBRARY)
