// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "addon.h"
#include "errors.h"
#include "netlink.h"

namespace relatd {

// A connection from who opens it, as struct tuple of the datapath has it.
struct ConnectionTuple {
  // IPv4 in its mapped form.
  uint8_t source[16];
  uint8_t destination[16];
  // Network order.
  uint16_t source_port;
  uint16_t destination_port;
  uint8_t protocol;
  uint8_t family;
  uint16_t zone;

  ConnectionTuple Reversed() const;
};
static_assert(sizeof(ConnectionTuple) == 40);

// Netfilter's connection tracking of one network namespace, through ctnetlink.
class Conntrack {
 public:
  static constexpr const char* kName = "Conntrack";
  static constexpr napi_type_tag kTag = {0x72656c617464000a, 0x636f6e6e74726163};
  static constexpr Addon::Slot kSlot = Addon::kConntrack;

  static std::unique_ptr<Conntrack> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon* addon);

  bool open() const { return netlink_.has_value(); }
  void Close() { netlink_.reset(); }

 private:
  // Both directions of an entry.
  struct Entry {
    ConnectionTuple original;
    ConnectionTuple reply;
  };

  explicit Conntrack(Netlink netlink) : netlink_(std::move(netlink)) {}
  Napi::Value Relate(const Napi::CallbackInfo& info);
  // -ENOENT: there is none. By a tuple of either direction.
  int Find(const ConnectionTuple& tuple, Entry* entry);
  int Create(const ConnectionTuple& connection, const Entry& master);

  std::optional<Netlink> netlink_;
};

}  // namespace relatd
