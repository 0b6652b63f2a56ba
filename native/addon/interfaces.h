// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "errors.h"

namespace relatd {

struct Interface {
  uint32_t index;
  std::string name;
  std::string kind;  // "" for none
  uint16_t type;
  uint32_t flags;
  uint32_t mtu;
  std::string address;
  std::optional<uint32_t> master;
  std::optional<uint32_t> link;
  std::optional<uint32_t> link_netnsid;
  std::optional<uint16_t> vlan;
};

// Of the namespace that the thread is in.
Result<std::vector<Interface>> ListInterfaces();

}  // namespace relatd
