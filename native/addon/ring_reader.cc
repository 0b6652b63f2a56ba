// SPDX-License-Identifier: Apache-2.0
#include "ring_reader.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <utility>

#include "frames.h"

namespace relatd {

Result<RingReader> RingReader::Map(int fd, uint32_t size) {
  RingReader ring;
  ring.page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  ring.size_ = size;
  void* consumer = mmap(nullptr, ring.page_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (consumer == MAP_FAILED) return SystemFailure(errno, "mmap", "share memory with the ring");
  ring.consumer_ = static_cast<uint64_t*>(consumer);
  void* producer =
      mmap(nullptr, ring.page_ + 2 * size_t{size}, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(ring.page_));
  if (producer == MAP_FAILED) return SystemFailure(errno, "mmap", "share memory with the ring");
  ring.producer_ = static_cast<const uint64_t*>(producer);
  ring.data_ = static_cast<const uint8_t*>(producer) + ring.page_;
  return ring;
}

RingReader::RingReader(RingReader&& other) noexcept
    : consumer_(std::exchange(other.consumer_, nullptr)),
      producer_(std::exchange(other.producer_, nullptr)),
      data_(other.data_),
      page_(other.page_),
      size_(other.size_),
      oversized_(other.oversized_),
      stopped_full_(other.stopped_full_) {}

RingReader::~RingReader() {
  if (consumer_ != nullptr) munmap(consumer_, page_);
  if (producer_ != nullptr) munmap(const_cast<uint64_t*>(producer_), page_ + 2 * size_);
}

uint64_t RingReader::pending() const {
  return __atomic_load_n(producer_, __ATOMIC_ACQUIRE) - __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);
}

size_t RingReader::Read(uint8_t* out, size_t room) {
  size_t written = 0;
  stopped_full_ = false;
  uint64_t position = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);
  uint64_t end = __atomic_load_n(producer_, __ATOMIC_ACQUIRE);
  while (position < end) {
    const uint8_t* record = data_ + (position & (size_ - 1));
    uint32_t header = __atomic_load_n(reinterpret_cast<const uint32_t*>(record), __ATOMIC_ACQUIRE);
    // Reserved and not yet submitted: everything behind it waits too.
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) break;
    uint32_t length = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if ((header & BPF_RINGBUF_DISCARD_BIT) == 0) {
      if (RecordBytes(length) > room - written) {
        if (written > 0) {
          stopped_full_ = true;
          break;
        }
        // Would never fit: passing over it is better than standing still for ever.
        oversized_++;
      } else {
        WriteRecordHeader(out + written, length);
        memcpy(out + written + kRecordHeader, record + BPF_RINGBUF_HDR_SZ, length);
        written += RecordBytes(length);
      }
    }
    position += (uint64_t{length} + BPF_RINGBUF_HDR_SZ + 7) & ~uint64_t{7};
    // Per record: the producer can use the room at once.
    __atomic_store_n(consumer_, position, __ATOMIC_RELEASE);
  }
  return written;
}

}  // namespace relatd
