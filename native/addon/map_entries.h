// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "errors.h"
#include "fd.h"

namespace relatd {

// What a map looks like from user space.
struct MapShape {
  uint32_t id;
  uint32_t type;
  std::string name;
  uint32_t key_size;
  uint32_t value_size;
  uint32_t max_entries;
  uint32_t flags;
  uint32_t copies;  // values per key: possible CPUs for per-CPU maps
  uint32_t stride;  // bytes of one key's value, all copies

  static Result<MapShape> Of(int fd);
};

struct MapContent {
  uint64_t count = 0;
  std::vector<uint8_t> keys;
  std::vector<uint8_t> values;
};

// Reads a whole map. Uses no JavaScript: for any thread.
Result<MapContent> ReadMap(int fd, const MapShape& shape);

// "hash", "ringbuf" …
std::string MapTypeName(uint32_t type);

// A failed update, with the code that fits a map (a full hash says E2BIG).
Failure UpdateFailure(int error, const char* call, const std::string& doing);

}  // namespace relatd
