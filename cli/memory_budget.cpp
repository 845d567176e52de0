#include "cli/memory_budget.h"

#include "core/device.h"
#include "core/freed_memory.h"
#include "core/log.h"

namespace hqtrack {

std::optional<int64_t> parse_memory_budget(const CommandLine& line) {
  if (!line.has("memory-budget")) return std::nullopt;
  constexpr int64_t kMiB = 1 << 20, kMost = 1 << 24;
  return parse_integer("--memory-budget", line.text("memory-budget"), 1, kMost) * kMiB;
}

MemoryPlan keep_to_budget(const Config& config, const NetworkArguments& arguments, const RunSize& size,
                          const std::optional<int64_t>& budget_bytes) {
  if (!budget_bytes) return {.config = config, .staging = {}, .needs = {}};
  const c10::Device device = resolve_device(arguments.device);
  MemoryPlan plan = plan_memory(config, size, device, *budget_bytes, resident_bytes());
  log_info(to_text(plan, *budget_bytes));
  if (!device.is_cpu()) limit_device_memory(device, *budget_bytes - plan.needs.program);
  if (plan.gives_back_freed) give_back_freed_memory();
  return plan;
}

}  // namespace hqtrack
