# Flags shared by all targets, and the two functions that make one.
set(HQTRACK_WARNINGS -Wall -Wextra -Wno-unused-parameter -Wno-unknown-pragmas)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND HQTRACK_WARNINGS -Wno-restrict)  # wrong there for "text" + std::string
endif()

function(hqtrack_flags target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${HQTRACK_WARNINGS}>)
  if(HQTRACK_SANITIZE)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${HQTRACK_SANITIZE} -fno-omit-frame-pointer>)
    target_link_options(${target} PRIVATE -fsanitize=${HQTRACK_SANITIZE})
  endif()
endfunction()

# One library a folder; its link line is the arrow of the architecture.
# hqtrack_library(tracker SOURCES ... LINK hqtrack_core ...)
function(hqtrack_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(hqtrack_${name} STATIC ${arg_SOURCES})
  add_library(hqtrack::${name} ALIAS hqtrack_${name})
  set_target_properties(hqtrack_${name} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(hqtrack_${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/hqtrack>)
  target_compile_features(hqtrack_${name} PUBLIC cxx_std_20)
  target_link_libraries(hqtrack_${name} PUBLIC ${arg_LINK})
  hqtrack_flags(hqtrack_${name})
endfunction()

# hqtrack_program(parity SOURCES ... LINK ...)
function(hqtrack_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  hqtrack_flags(${name})
endfunction()

# hqtrack_test(core_error SOURCES error_test.cpp LINK hqtrack_core LABEL unit): one executable, one ctest entry a case.
function(hqtrack_test name)
  cmake_parse_arguments(arg "" "LABEL" "SOURCES;LINK" ${ARGN})
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  add_executable(test_${name} ${arg_SOURCES})
  set_target_properties(test_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  target_link_libraries(test_${name} PRIVATE ${arg_LINK} hqtrack_test_support GTest::gtest_main)
  hqtrack_flags(test_${name})
  add_test(NAME ${name} COMMAND test_${name} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 1200
    ENVIRONMENT "OMP_WAIT_POLICY=passive;LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan_suppressions.txt;TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan_suppressions.txt")
  if(arg_LABEL STREQUAL "gpu")
    set_tests_properties(${name} PROPERTIES SKIP_REGULAR_EXPRESSION "skipped: no GPU")
  endif()
endfunction()
