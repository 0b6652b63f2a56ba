// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include <memory>
#include <string>
#include <vector>

#include "addon.h"
#include "errors.h"
#include "fd.h"

namespace relatd {

// One hook of one interface, in the namespace that the thread is in.
struct Hook {
  uint32_t ifindex;
  bool egress;

  std::string Text() const {
    return "interface " + std::to_string(ifindex) + " (" + (egress ? "egress" : "ingress") + ")";
  }
};

struct AttachedTcx {
  Fd link;
  uint32_t link_id;
  bool adopted;
};

// Whether this kernel has tcx; asks with an existing interface or with loopback.
bool HasTcx();

Result<AttachedTcx> AttachTcx(int program, const Hook& hook, bool first, const std::string& pin);

// Whether there was a pin.
Result<bool> DetachTcx(const std::string& pin);

// An unpinned link, for JavaScript to hold.
class TcxLink {
 public:
  static constexpr const char* kName = "TcxLink";
  static constexpr napi_type_tag kTag = {0x72656c6174640006, 0x7463786c696e6b00};
  static constexpr Addon::Slot kSlot = Addon::kTcxLink;

  explicit TcxLink(Fd fd) : fd_(std::move(fd)) {}
  static std::unique_ptr<TcxLink> New(const Napi::CallbackInfo& info);
  static std::vector<napi_property_descriptor> Methods(Addon*) { return {}; }

  bool open() const { return fd_.open(); }
  void Close() { fd_.Reset(); }

 private:
  Fd fd_;
};

}  // namespace relatd
