// parity vmos|nano|hqsam|nano_refiner|vots|davis DIR: compares this build with a folder of reference tensors,
// case by case.
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>

#include "tests/parity/eval_parity.h"
#include "tests/parity/hq_sam_parity.h"
#include "tests/parity/vmos_parity.h"

int main(int argc, char** argv) {
  const std::map<std::string, void (*)(const std::filesystem::path&, hqtrack::parity::Report&)> kinds = {
      {"vmos", hqtrack::parity::check_vmos},    {"nano", hqtrack::parity::check_nano},
      {"hqsam", hqtrack::parity::check_hq_sam}, {"nano_refiner", hqtrack::parity::check_nano_refiner},
      {"vots", hqtrack::parity::check_vots},    {"davis", hqtrack::parity::check_davis}};
  const auto kind = argc == 3 ? kinds.find(argv[1]) : kinds.end();
  if (kind == kinds.end()) {
    std::fprintf(stderr, "usage: parity vmos|nano|hqsam|nano_refiner|vots|davis DIR\n");
    return 2;
  }
  hqtrack::parity::Report report;
  report.guard(argv[2], [&] { kind->second(argv[2], report); });
  return report.finish();
}
