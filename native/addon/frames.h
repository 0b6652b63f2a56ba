// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>

#include <cstdint>

namespace relatd {

// Many records in one buffer, the same for events and for frames: u32 length (header included, padding not), u32 0,
// payload, padding up to a multiple of 8.
constexpr uint32_t kRecordHeader = 8;

constexpr size_t RecordBytes(size_t payload) {
  return (kRecordHeader + payload + 7) & ~size_t{7};
}

inline void WriteRecordHeader(uint8_t* at, size_t payload) {
  uint32_t header[2] = {static_cast<uint32_t>(kRecordHeader + payload), 0};
  memcpy(at, header, sizeof(header));
}

}  // namespace relatd
