# cmake -D BUILD=DIR -D LIBTORCH_ROOT=DIR -D CXX=COMPILER -D EXAMPLES=DIR -D PICTURES=DIR -P install_test.cmake
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

run("configure the examples" ${CMAKE_COMMAND} -S ${EXAMPLES} -B ${work}/examples -G Ninja
    -D CMAKE_BUILD_TYPE=Release -D CMAKE_CXX_COMPILER=${CXX} -D CMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}
    -D CMAKE_PREFIX_PATH=${tree} -D LIBTORCH_ROOT=${LIBTORCH_ROOT})
run("build the examples" ${CMAKE_COMMAND} --build ${work}/examples)

# Two pictures are a video; in the first one the box holds a white shape on black.
run("track_video" ${work}/examples/track_video ${PICTURES} 200 120 380 360 ${work}/out.mp4)
if(NOT printed MATCHES "frame 0: tracked, [1-9][0-9]+ pixels")
  message(FATAL_ERROR "track_video: expected a tracked object in frame 0, found '${printed}'")
endif()
run("video of track_video" ${tree}/bin/hqtrack info ${work}/out.mp4)
if(NOT printed MATCHES "640x480" OR NOT printed MATCHES "2 frames")
  message(FATAL_ERROR "track_video: expected a video of 2 frames, 640x480, found '${printed}'")
endif()
run("edit_objects" ${work}/examples/edit_objects ${work}/state.safetensors)
# Both squares have 1600 pixels.
set(about_1600 "1[4-7][0-9][0-9]")
if(NOT printed MATCHES "frame 1:  light tracked ${about_1600} px  dark tracked ${about_1600} px\n" OR
   NOT printed MATCHES "frame 3:  dark tracked ${about_1600} px\n$")
  message(FATAL_ERROR "edit_objects: expected both objects in frame 1 and one at the end, each 1400 to 1799 pixels, found '${printed}'")
endif()
file(REMOVE_RECURSE ${work}) # half a gigabyte
