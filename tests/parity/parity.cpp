// parity vmos DIR | parity nano DIR: compares this build with a folder of reference tensors, case by case.
#include <cstdio>
#include <exception>
#include <string>

#include "tests/parity/vmos_parity.h"

int main(int argc, char** argv) {
  const std::string kind = argc == 3 ? argv[1] : "";
  if (kind != "vmos" && kind != "nano") {
    std::fprintf(stderr, "usage: parity vmos DIR | parity nano DIR\n");
    return 2;
  }
  hqtrack::parity::Report report;
  try {
    if (kind == "vmos") hqtrack::parity::check_vmos(argv[2], report);
    if (kind == "nano") hqtrack::parity::check_nano(argv[2], report);
  } catch (const std::exception& error) {
    report.check(false, argv[2], error.what());
  }
  return report.finish();
}
