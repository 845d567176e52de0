#pragma once

#include "core/config.h"
#include "train/still.h"

namespace hqtrack::testing {

/// Settings of a refiner and a training run small enough for a test: the embedded encoder on 64 px, two
/// stills of three prompts a step.
Config tiny_refiner_config();

/// A bright square and a dark one on noise, 48 x 64 px.
class TinyStills : public StillSource {
 public:
  Still example(int64_t number) const override;
};

}  // namespace hqtrack::testing
