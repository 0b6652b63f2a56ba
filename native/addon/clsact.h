// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "errors.h"
#include "tcx.h"

namespace relatd {

// A filter at a clsact hook.
struct ClsactFilter {
  uint32_t priority;
  uint32_t handle;
  uint32_t program_id;  // 0 for filters that are not BPF
  std::string name;
};

// By this handle our filter is found again: clsact filters have no owner.
constexpr uint32_t kClsactHandle = 0x7e1a7d;

// Makes the qdisc where there is none, and a direct-action filter; replaces ours. true: ours was there.
Result<bool> AttachClsact(int program, const Hook& hook, uint32_t priority);

// Whether ours was there. An empty qdisc goes too.
Result<bool> DetachClsact(const Hook& hook, uint32_t priority);

// In the order in which they run; empty where there is no clsact.
Result<std::vector<ClsactFilter>> ListClsact(const Hook& hook);

}  // namespace relatd
