// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "errors.h"
#include "fd.h"

namespace relatd {

// A request under construction.
class NetlinkMessage {
 public:
  NetlinkMessage(uint16_t type, uint16_t flags);

  template <class T>
  T* Header() {
    size_t at = bytes_.size();
    bytes_.resize(at + NLMSG_ALIGN(sizeof(T)));
    return reinterpret_cast<T*>(bytes_.data() + at);
  }
  void Put(uint16_t type, const void* data, size_t length);
  void PutU32(uint16_t type, uint32_t value) { Put(type, &value, sizeof(value)); }
  void PutU8(uint16_t type, uint8_t value) { Put(type, &value, sizeof(value)); }
  size_t Begin(uint16_t type);
  void End(size_t nest);
  std::vector<uint8_t>& Finish();

 private:
  std::vector<uint8_t> bytes_;
};

// The attributes of a message or of a nest, by type.
class NetlinkAttributes {
 public:
  NetlinkAttributes(const void* data, size_t length) : data_(data), length_(length) {}
  // Empty when it is not there.
  std::string_view Find(uint16_t type) const;
  bool Has(uint16_t type) const;
  uint32_t U32(uint16_t type) const;
  uint16_t U16(uint16_t type) const;
  std::string_view Text(uint16_t type) const;
  NetlinkAttributes Nest(uint16_t type) const;

 private:
  const struct rtattr* Seek(uint16_t type) const;
  const void* data_;
  size_t length_;
};

// A netlink socket in the namespace in which it was opened.
class Netlink {
 public:
  // groups: a bit mask of RTMGRP_; such a socket does not block.
  static Result<Netlink> Open(uint32_t groups = 0, int protocol = NETLINK_ROUTE);
  // Waits for the answer; 0 or a negative errno.
  int Request(NetlinkMessage& message);
  int Dump(NetlinkMessage& message, const std::function<void(const struct nlmsghdr*)>& each);
  Fd Release() { return std::move(fd_); }

 private:
  explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
  int Send(NetlinkMessage& message);
  Fd fd_;
};

}  // namespace relatd
