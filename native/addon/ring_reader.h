// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "errors.h"

namespace relatd {

// The consumer's side of a BPF ring buffer, by its documented memory layout (Documentation/bpf/ringbuf.rst): a page
// with the consumer's position, a page with the producer's, then the data, mapped twice so that no record is ever cut.
// libbpf 1.1 consumes without a limit; here the batch ends before the record that does not fit, and that record stays
// in the ring.
class RingReader {
 public:
  static Result<RingReader> Map(int fd, uint32_t size);
  RingReader(RingReader&& other) noexcept;
  RingReader& operator=(RingReader&&) = delete;
  ~RingReader();

  // Bytes written to `out`. More may be left: see pending().
  size_t Read(uint8_t* out, size_t room);
  uint64_t pending() const;
  // Whether Read stopped for want of room, not for want of records.
  bool stopped_full() const { return stopped_full_; }
  uint64_t oversized() const { return oversized_; }

 private:
  RingReader() = default;
  uint64_t* consumer_ = nullptr;
  const uint64_t* producer_ = nullptr;
  const uint8_t* data_ = nullptr;
  size_t page_ = 0;
  uint64_t size_ = 0;
  uint64_t oversized_ = 0;
  bool stopped_full_ = false;
};

}  // namespace relatd
