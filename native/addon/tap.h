// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "errors.h"
#include "fd.h"

namespace relatd {

struct Tap {
  Fd fd;
  uint32_t ifindex;
};

// Makes a TAP in the namespace that the thread is in: not persistent, up, silent (no ARP, no multicast, no IPv6).
Result<Tap> MakeTap(const std::string& name, uint32_t queue_length, uint32_t mtu);

}  // namespace relatd
