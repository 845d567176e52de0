#include "train/training_state.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/weights/safetensors.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"
#include "tests/train/tiny_network.h"
#include "tracker/vmos.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

ParameterRole role_of(const std::string& name) {
  return name.starts_with("encoder.") ? ParameterRole::kBackbone : ParameterRole::kTrained;
}

TrainingState tiny_state(const TrainConfig& config, int64_t seed = 1) {
  torch::manual_seed(static_cast<uint64_t>(seed));
  return {Vmos(testing::tiny_config().tracker).ptr(), config, role_of};
}

/// Something to minimise that reaches every trained parameter.
at::Tensor sum_of_squares(torch::nn::Module& network) {
  at::Tensor sum;
  for (const at::Tensor& parameter : network.parameters()) {
    if (!parameter.requires_grad()) continue;
    sum = sum.defined() ? sum + parameter.square().sum() : parameter.square().sum();
  }
  return sum;
}

double update(TrainingState& state, const at::Tensor& loss, double learning_rate) {
  return state.update([&] { loss.backward(); }, learning_rate);
}

void take_steps(TrainingState& state, int steps) {
  for (int i = 0; i < steps; ++i) update(state, sum_of_squares(state.network()), 1e-2);
}

std::string load_error(TrainingState& state, const fs::path& file) {
  try {
    state.load(file);
  } catch (const WeightsError& error) {
    return error.what();
  }
  return "no error";
}

TEST(TrainingState, ContinuesBitForBit) {
  const testing::TemporaryFolder folder;
  const TrainConfig config = testing::tiny_config().train;
  TrainingState whole = tiny_state(config), first = tiny_state(config), second = tiny_state(config, 2);
  take_steps(whole, 5);
  take_steps(first, 3);
  first.examples = 6;
  first.minutes = 0.1 + 0.2;
  first.save(folder.path() / "a.safetensors");
  second.load(folder.path() / "a.safetensors");
  EXPECT_EQ(second.step, 3);
  EXPECT_EQ(second.examples, 6);
  EXPECT_EQ(second.minutes, 0.1 + 0.2);
  take_steps(second, 2);
  whole.examples = second.examples;
  whole.minutes = second.minutes;
  whole.save(folder.path() / "whole.safetensors");
  second.save(folder.path() / "second.safetensors");
  EXPECT_EQ(testing::read_bytes(folder.path() / "whole.safetensors"),
            testing::read_bytes(folder.path() / "second.safetensors"));
}

TEST(TrainingState, DecaysMatricesOnlyAndLeavesAFrozenBackbone) {
  TrainConfig config = testing::tiny_config().train;
  config.weight_decay = 0.5;
  TrainingState state = tiny_state(config);
  std::map<std::string, at::Tensor> before;
  for (const auto& item : state.network().named_parameters())
    before[item.key()] = item.value().detach().clone();
  at::Tensor nothing;  // zero gradients: only the decay moves parameters
  for (const at::Tensor& parameter : state.network().parameters()) {
    if (parameter.requires_grad())
      nothing = nothing.defined() ? nothing + 0 * parameter.sum() : 0 * parameter.sum();
  }
  update(state, nothing, 0.1);
  for (const auto& item : state.network().named_parameters()) {
    const at::Tensor& old = before[item.key()];
    const bool is_decayed = old.dim() > 1 && !item.key().starts_with("encoder.");
    EXPECT_TENSORS_CLOSE(item.value(), is_decayed ? old * 0.95 : old, 1e-6, 1e-7) << item.key();
  }
}

TEST(TrainingState, AveragesTheWeights) {
  const testing::TemporaryFolder folder;
  TrainConfig config = testing::tiny_config().train;
  config.ema_decay = 0.9;
  TrainingState state = tiny_state(config);
  const std::string name = "conv_output2.weight";
  const auto weight = [&] { return state.network().named_parameters()[name].detach().clone(); };
  at::Tensor average = weight();
  for (int step = 1; step <= 3; ++step) {
    take_steps(state, 1);
    const double decay = std::min(0.9, (1.0 + step) / (10.0 + step));
    average = average * decay + weight() * (1 - decay);
  }
  state.export_average(folder.path() / "w.safetensors");
  const TensorFile file = read_safetensors(folder.path() / "w.safetensors");
  ASSERT_NE(file.find(name), nullptr);
  EXPECT_EQ(file.find(name)->scalar_type(), at::kHalf);
  EXPECT_TENSORS_CLOSE(file.find(name)->to(at::kFloat), average, 1e-3, 1e-6);
  EXPECT_EQ(file.tensors.size(), state.network().named_parameters().size());
}

TEST(TrainingState, ChangesNothingWhenGradientsAreNotFinite) {
  TrainingState state = tiny_state(testing::tiny_config().train);
  const at::Tensor before = state.network().named_parameters()["conv_output2.weight"].detach().clone();
  const double norm =
      update(state, sum_of_squares(state.network()) * std::numeric_limits<double>::quiet_NaN(), 0.1);
  EXPECT_FALSE(std::isfinite(norm));
  EXPECT_EQ(state.step, 0);
  EXPECT_TRUE(state.network().named_parameters()["conv_output2.weight"].equal(before));
}

TEST(TrainingState, RefusesOtherFilesAndStaysAsItWas) {
  const testing::TemporaryFolder folder;
  const fs::path good = folder.path() / "good.safetensors", bad = folder.path() / "bad.safetensors";
  TrainingState state = tiny_state(testing::tiny_config().train);
  take_steps(state, 1);
  state.save(good);
  const std::string path = bad.string();

  state.export_average(bad);
  EXPECT_EQ(load_error(state, bad), path + ": expected a checkpoint of a training run, found other tensors");
  auto bytes = testing::read_bytes(good);
  bytes.resize(bytes.size() - 7);
  testing::write_bytes(bad, bytes);
  EXPECT_NE(load_error(state, bad).find(path), std::string::npos);

  TensorFile contents = read_safetensors(good);
  std::erase_if(contents.tensors,
                [](const NamedTensor& entry) { return entry.name == "mean/conv_output2.weight"; });
  write_safetensors(bad, contents);
  EXPECT_EQ(load_error(state, bad),
            path + ": checkpoint of other trained parameters: \"mean/conv_output2.weight\" is missing");
  contents = read_safetensors(good);
  contents.metadata["step"] = "three";
  write_safetensors(bad, contents);
  EXPECT_EQ(load_error(state, bad), path + ": checkpoint without a readable \"step\"");

  state.save(bad);
  EXPECT_EQ(testing::read_bytes(bad), testing::read_bytes(good)) << "a refused file changed the state";
}

// A child writes checkpoint after checkpoint and is killed in the middle of it.
TEST(TrainingState, CheckpointsSurviveBeingKilled) {
  at::set_num_threads(1);
  const testing::TemporaryFolder folder;
  const fs::path file = folder.path() / "checkpoint.safetensors";
  TrainingState state = tiny_state(testing::tiny_config().train);
  state.save(file);
  for (int round = 0; round < 6; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      for (;; ++state.step) state.save(file);
    }
    usleep(30000 + 7000 * round);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    TrainingState read = tiny_state(testing::tiny_config().train, 2);
    EXPECT_EQ(load_error(read, file), "no error");
  }
}

}  // namespace
}  // namespace hqtrack
