// SPDX-License-Identifier: Apache-2.0
#include "map_entries.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include <algorithm>

namespace relatd {
namespace {

constexpr int kNotSupported = 524;  // the kernel's ENOTSUPP

bool IsPerCpu(uint32_t type) {
  return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
         type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

// Values of these are descriptors on the way in and four-byte ids on the way out.
bool HoldsIds(uint32_t type) {
  return type == BPF_MAP_TYPE_PROG_ARRAY || type == BPF_MAP_TYPE_ARRAY_OF_MAPS || type == BPF_MAP_TYPE_HASH_OF_MAPS;
}

// For maps without batch operations.
int ReadOneByOne(int fd, const MapShape& shape, MapContent* content) {
  std::vector<uint8_t> key(shape.key_size), next(shape.key_size), value(shape.stride);
  // When the current key is deleted meanwhile the kernel starts over: this bound ends what would otherwise go on for
  // ever.
  uint64_t most = uint64_t{shape.max_entries} * 2 + 16;
  int error = bpf_map_get_next_key(fd, nullptr, next.data());
  for (; error == 0 && most > 0; most--) {
    key.swap(next);
    if (bpf_map_lookup_elem(fd, key.data(), value.data()) == 0) {
      content->keys.insert(content->keys.end(), key.begin(), key.end());
      content->values.insert(content->values.end(), value.begin(), value.end());
      content->count++;
    } else if (errno != ENOENT) {
      return -errno;
    }
    error = bpf_map_get_next_key(fd, key.data(), next.data());
  }
  return error == 0 || error == -ENOENT ? 0 : error;
}

int ReadInBatches(int fd, const MapShape& shape, MapContent* content) {
  // The cursor is a bucket number or a key, whichever is larger.
  std::vector<uint8_t> cursor(std::max<size_t>(shape.key_size, 8));
  bool first = true;
  uint32_t batch = std::clamp<uint32_t>(shape.max_entries, 64, 8192);
  for (;;) {
    content->keys.resize((content->count + batch) * shape.key_size);
    content->values.resize((content->count + batch) * shape.stride);
    std::vector<uint8_t> next(cursor.size());
    uint32_t count = batch;
    int error = bpf_map_lookup_batch(fd, first ? nullptr : cursor.data(), next.data(),
                                     content->keys.data() + content->count * shape.key_size,
                                     content->values.data() + content->count * shape.stride, &count, nullptr);
    // One bucket holds more than a batch: nothing was taken.
    if (error == -ENOSPC && batch < (1U << 24)) {
      batch *= 2;
      continue;
    }
    // The end, with the rest counted.
    bool end = error == -ENOENT;
    if (error != 0 && !end) return error;
    content->count += count;
    if (end) break;
    cursor.swap(next);
    first = false;
  }
  content->keys.resize(content->count * shape.key_size);
  content->values.resize(content->count * shape.stride);
  return 0;
}

}  // namespace

Result<MapShape> MapShape::Of(int fd) {
  struct bpf_map_info info = {};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) {
    return SystemFailure(errno, "BPF_OBJ_GET_INFO_BY_FD", "read what kind of map this is");
  }
  MapShape shape = {info.id,
                    info.type,
                    std::string(info.name, strnlen(info.name, sizeof(info.name))),
                    info.key_size,
                    info.value_size,
                    info.max_entries,
                    info.map_flags,
                    1,
                    info.value_size};
  if (IsPerCpu(info.type)) {
    int cpus = libbpf_num_possible_cpus();
    if (cpus < 1) return SystemFailure(-cpus, "libbpf_num_possible_cpus", "count the CPUs");
    shape.copies = static_cast<uint32_t>(cpus);
    shape.stride = ((info.value_size + 7) & ~7U) * shape.copies;
  } else if (HoldsIds(info.type)) {
    shape.stride = 4;
  }
  return shape;
}

Result<MapContent> ReadMap(int fd, const MapShape& shape) {
  if (shape.key_size == 0) {
    return ArgumentFailure("a " + MapTypeName(shape.type) + " map has no entries to list; use lookup or an EventRing");
  }
  MapContent content;
  int error = HoldsIds(shape.type) ? -kNotSupported : ReadInBatches(fd, shape, &content);
  if (error == -EINVAL || error == -kNotSupported || error == -EOPNOTSUPP) {
    content = MapContent();
    error = ReadOneByOne(fd, shape, &content);
  }
  if (error != 0) return SystemFailure(-error, "BPF_MAP_LOOKUP_BATCH", "list the entries of map " + shape.name);
  return content;
}

std::string MapTypeName(uint32_t type) {
  const char* name = libbpf_bpf_map_type_str(static_cast<enum bpf_map_type>(type));
  return name != nullptr ? name : "type-" + std::to_string(type);
}

Failure UpdateFailure(int error, const char* call, const std::string& doing) {
  return error == E2BIG ? SystemFailure(Code::kTableFull, error, call, doing) : SystemFailure(error, call, doing);
}

}  // namespace relatd
