// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>
#include <vector>

#include "errors.h"

namespace relatd {

// A map of an object under the name that people use: libbpf calls .bss by the object's name too.
struct ObjectMap {
  std::string name;
  struct bpf_map* map;
  bool reused = false;
};

// A pinned map that stays as large as it is.
struct KeptSize {
  std::string map;
  uint32_t entries;
  uint32_t asked;
};

std::vector<ObjectMap> NameMaps(struct bpf_object* object);

// Before the load: takes the pinned maps that fit instead of new ones.
Status ReusePinnedMaps(std::vector<ObjectMap>& maps, const std::string& pins, std::vector<KeptSize>* kept);

// After the load: pins what is new, all or nothing.
Status PinLoaded(struct bpf_object* object, const std::vector<ObjectMap>& maps, const std::string& pins);

}  // namespace relatd
