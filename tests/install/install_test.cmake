# cmake -D BUILD=DIR -D LIBTORCH_ROOT=DIR -D CXX=COMPILER -P install_test.cmake
set(work ${BUILD}/tests/install_test)
file(REMOVE_RECURSE ${work})

# run(WHAT command...): ends the test with the command's output when it fails; leaves what it printed in `printed`.
function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what}: exit status ${status}\n${out}${err}")
  endif()
  set(printed "${out}" PARENT_SCOPE)
endfunction()

run("install" ${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/first)
file(RENAME ${work}/first ${work}/moved)
set(tree ${work}/moved)

# The moved program must load its own LibTorch, not the one of the build.
run("list of libraries" ldd ${tree}/bin/hqtrack)
string(REGEX MATCH "libtorch_cpu.so => ([^ ]+)" _ "${printed}")
file(REAL_PATH "${CMAKE_MATCH_1}" loaded)
file(REAL_PATH ${tree} real_tree)
string(FIND "${loaded}" "${real_tree}/" position)
if(NOT position EQUAL 0)
  message(FATAL_ERROR "libtorch_cpu.so: expected below ${real_tree}, found '${loaded}'")
endif()
run("moved program" ${tree}/bin/hqtrack info)

run("configure a project that uses it" ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${work}/consumer -G Ninja
    -D CMAKE_BUILD_TYPE=Release -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
    -D CMAKE_PREFIX_PATH=${tree} -D LIBTORCH_ROOT=${LIBTORCH_ROOT})
run("build a project that uses it" ${CMAKE_COMMAND} --build ${work}/consumer)
run("run a project that uses it" ${work}/consumer/consumer)
if(NOT printed MATCHES "object 7: tracked")
  message(FATAL_ERROR "consumer: expected 'object 7: tracked', found '${printed}'")
endif()
file(REMOVE_RECURSE ${work}) # half a gigabyte
