// SPDX-License-Identifier: Apache-2.0
#include "object_pins.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>

#include "bpf_syscall.h"
#include "bpffs.h"
#include "fd.h"
#include "map_entries.h"

namespace relatd {
namespace {

std::string MapPath(const std::string& pins, const std::string& name) {
  return pins + "/maps/" + name;
}

// Constants belong to one compiled object: its code was verified with them. kconfig is filled in at load only.
bool IsConstant(const ObjectMap& map) {
  return bpf_map__is_internal(map.map) && (map.name.starts_with("rodata") || map.name == "kconfig");
}

bool SameContent(struct bpf_map* map, int pinned) {
  size_t size = 0;
  const void* initial = bpf_map__initial_value(map, &size);
  if (initial == nullptr) return false;
  std::vector<uint8_t> value(size);
  uint32_t key = 0;
  return bpf_map_lookup_elem(pinned, &key, value.data()) == 0 && memcmp(initial, value.data(), size) == 0;
}

Failure LayoutFailure(const std::string& name, const char* what, uint32_t pinned, uint32_t asked) {
  return PlainFailure(Code::kLayout,
                      "the pinned map " + name + " has " + what + " " + std::to_string(pinned) +
                          ", this version needs " + std::to_string(asked) +
                          "; remove the pinned state (this forgets all flows) or use the version that wrote it",
                      EINVAL, "BPF_OBJ_GET");
}

Status CheckLayout(const ObjectMap& map, const MapShape& pinned) {
  const struct bpf_map* wanted = map.map;
  if (pinned.type != bpf_map__type(wanted)) return LayoutFailure(map.name, "type", pinned.type, bpf_map__type(wanted));
  if (pinned.key_size != bpf_map__key_size(wanted)) {
    return LayoutFailure(map.name, "key size", pinned.key_size, bpf_map__key_size(wanted));
  }
  if (pinned.value_size != bpf_map__value_size(wanted)) {
    return LayoutFailure(map.name, "value size", pinned.value_size, bpf_map__value_size(wanted));
  }
  if (pinned.flags != bpf_map__map_flags(wanted)) {
    return LayoutFailure(map.name, "flags", pinned.flags, bpf_map__map_flags(wanted));
  }
  return std::nullopt;
}

}  // namespace

std::vector<ObjectMap> NameMaps(struct bpf_object* object) {
  std::vector<ObjectMap> maps;
  struct bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    std::string name = bpf_map__name(map);
    if (bpf_map__is_internal(map)) {
      name = name.substr(name.find('.') + 1);
      // bpffs refuses dots.
      std::replace(name.begin(), name.end(), '.', '_');
    }
    maps.push_back({std::move(name), map});
  }
  return maps;
}

Status ReusePinnedMaps(std::vector<ObjectMap>& maps, const std::string& pins, std::vector<KeptSize>* kept) {
  for (ObjectMap& map : maps) {
    std::string path = MapPath(pins, map.name);
    Fd fd(bpf_obj_get(path.c_str()));
    if (!fd.open()) {
      if (errno == ENOENT) continue;
      return SystemFailure(errno, "BPF_OBJ_GET", "open the pinned map " + path);
    }
    if (KindOf(fd.get()) != BpfKind::kMap) {
      return PlainFailure(Code::kLayout, path + " is pinned and is not a map; remove it", EINVAL, "BPF_OBJ_GET");
    }
    Result<MapShape> pinned = MapShape::Of(fd.get());
    if (!pinned.ok()) return pinned.failure();
    if (IsConstant(map)) {
      bool same = !CheckLayout(map, *pinned).has_value() && map.name != "kconfig" && SameContent(map.map, fd.get());
      if (!same) continue;
    }
    if (Status failure = CheckLayout(map, *pinned)) return failure;
    uint32_t asked = bpf_map__max_entries(map.map);
    if (int error = bpf_map__reuse_fd(map.map, fd.get()); error != 0) {
      return SystemFailure(-error, "bpf_map__reuse_fd", "use the pinned map " + path);
    }
    map.reused = true;
    if (asked != pinned->max_entries) kept->push_back({map.name, pinned->max_entries, asked});
  }
  return std::nullopt;
}

Status PinLoaded(struct bpf_object* object, const std::vector<ObjectMap>& maps, const std::string& pins) {
  std::vector<std::string> made;
  Status failure;
  for (const ObjectMap& map : maps) {
    if (map.reused || bpf_map__fd(map.map) < 0) continue;
    std::string path = MapPath(pins, map.name);
    failure = PinObject(bpf_map__fd(map.map), path, IsConstant(map));
    if (failure.has_value()) break;
    made.push_back(std::move(path));
  }
  struct bpf_program* program = nullptr;
  if (!failure.has_value()) {
    bpf_object__for_each_program(program, object) {
      if (bpf_program__fd(program) < 0) continue;
      failure = PinObject(bpf_program__fd(program), pins + "/programs/" + bpf_program__name(program), true);
      if (failure.has_value()) break;
    }
  }
  // Empty maps left behind would be taken for state at the next start.
  if (failure.has_value()) {
    for (const std::string& path : made) unlink(path.c_str());
  }
  return failure;
}

}  // namespace relatd
