#pragma once

#include <cstdint>
#include <optional>

#include "cli/arguments.h"
#include "cli/network_arguments.h"
#include "pipeline/memory_plan.h"

namespace hqtrack {

/// --memory-budget in MiB as bytes; empty where it is not given. Throws UsageError.
std::optional<int64_t> parse_memory_budget(const CommandLine& line);

/// A plan that holds the budget: says it in the log, and has freed memory given back where it is part of it.
/// Without a budget nothing is changed. Throws as plan_memory does.
MemoryPlan keep_to_budget(const Config& config, const NetworkArguments& arguments, const RunSize& size,
                          const std::optional<int64_t>& budget_bytes);

}  // namespace hqtrack
