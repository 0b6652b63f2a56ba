// SPDX-License-Identifier: Apache-2.0
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>
#include <sys/socket.h>

#include "args.h"
#include "namespace.h"
#include "wrap.h"

namespace relatd {
namespace {

// Until the first packet comes, which has waited for this: connection tracking then sets its own.
constexpr uint32_t kSeconds = 30;
constexpr size_t kMapped = 12;  // where IPv4 stands in the mapped form

uint8_t Family(const ConnectionTuple& tuple) {
  return tuple.family == 4 ? AF_INET : AF_INET6;
}

NetlinkMessage Request(uint8_t type, uint16_t flags, const ConnectionTuple& tuple) {
  NetlinkMessage message(static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type),
                         static_cast<uint16_t>(NLM_F_ACK | flags));
  auto* header = message.Header<struct nfgenmsg>();
  header->nfgen_family = Family(tuple);
  header->version = NFNETLINK_V0;
  return message;
}

void PutTuple(NetlinkMessage& message, uint16_t type, const ConnectionTuple& tuple) {
  size_t nest = message.Begin(type);
  size_t address = message.Begin(CTA_TUPLE_IP);
  if (tuple.family == 4) {
    message.Put(CTA_IP_V4_SRC, tuple.source + kMapped, 4);
    message.Put(CTA_IP_V4_DST, tuple.destination + kMapped, 4);
  } else {
    message.Put(CTA_IP_V6_SRC, tuple.source, 16);
    message.Put(CTA_IP_V6_DST, tuple.destination, 16);
  }
  message.End(address);
  size_t protocol = message.Begin(CTA_TUPLE_PROTO);
  message.PutU8(CTA_PROTO_NUM, tuple.protocol);
  message.Put(CTA_PROTO_SRC_PORT, &tuple.source_port, sizeof(tuple.source_port));
  message.Put(CTA_PROTO_DST_PORT, &tuple.destination_port, sizeof(tuple.destination_port));
  message.End(protocol);
  message.End(nest);
}

void CopyAddress(const NetlinkAttributes& attributes, uint16_t v4, uint16_t v6, uint8_t* address) {
  if (std::string_view bytes = attributes.Find(v4); bytes.size() == 4) {
    address[10] = address[11] = 0xff;
    memcpy(address + kMapped, bytes.data(), bytes.size());
  } else if (std::string_view wide = attributes.Find(v6); wide.size() == 16) {
    memcpy(address, wide.data(), wide.size());
  }
}

ConnectionTuple ReadTuple(const NetlinkAttributes& attributes, uint16_t type) {
  ConnectionTuple tuple = {};
  NetlinkAttributes addresses = attributes.Nest(type).Nest(CTA_TUPLE_IP);
  CopyAddress(addresses, CTA_IP_V4_SRC, CTA_IP_V6_SRC, tuple.source);
  CopyAddress(addresses, CTA_IP_V4_DST, CTA_IP_V6_DST, tuple.destination);
  tuple.family = addresses.Has(CTA_IP_V4_SRC) ? 4 : 6;
  NetlinkAttributes protocol = attributes.Nest(type).Nest(CTA_TUPLE_PROTO);
  tuple.source_port = protocol.U16(CTA_PROTO_SRC_PORT);
  tuple.destination_port = protocol.U16(CTA_PROTO_DST_PORT);
  if (std::string_view number = protocol.Find(CTA_PROTO_NUM); !number.empty()) {
    tuple.protocol = static_cast<uint8_t>(number.front());
  }
  return tuple;
}

bool Same(const uint8_t* a, const uint8_t* b) {
  return memcmp(a, b, sizeof(ConnectionTuple::source)) == 0;
}

void PutNat(NetlinkMessage& message, uint16_t type, const ConnectionTuple& tuple, const uint8_t* address) {
  size_t nest = message.Begin(type);
  if (tuple.family == 4) {
    message.Put(CTA_NAT_V4_MINIP, address + kMapped, 4);
    message.Put(CTA_NAT_V4_MAXIP, address + kMapped, 4);
  } else {
    message.Put(CTA_NAT_V6_MINIP, address, 16);
    message.Put(CTA_NAT_V6_MAXIP, address, 16);
  }
  message.End(nest);
}

std::optional<ConnectionTuple> ReadArgument(Args& args, const char* name) {
  std::span<uint8_t> bytes = args.Bytes(name);
  if (!args.ok()) return std::nullopt;
  if (bytes.size() != sizeof(ConnectionTuple)) {
    args.Refuse(std::string(name) + " must have " + std::to_string(sizeof(ConnectionTuple)) + " bytes");
    return std::nullopt;
  }
  ConnectionTuple tuple;
  memcpy(&tuple, bytes.data(), sizeof(tuple));
  return tuple;
}

}  // namespace

ConnectionTuple ConnectionTuple::Reversed() const {
  ConnectionTuple tuple = *this;
  memcpy(tuple.source, destination, sizeof(tuple.source));
  memcpy(tuple.destination, source, sizeof(tuple.destination));
  std::swap(tuple.source_port, tuple.destination_port);
  return tuple;
}

std::unique_ptr<Conntrack> Conntrack::New(const Napi::CallbackInfo& info) {
  Namespace* ns = Wrap<Namespace>::Argument(info, 0);
  if (ns == nullptr) return nullptr;
  Result<EnteredNamespace> entered = ns->Enter();
  if (!entered.ok()) {
    Throw(info.Env(), entered.failure());
    return nullptr;
  }
  Result<Netlink> netlink = Netlink::Open(0, NETLINK_NETFILTER);
  if (netlink.ok()) return std::unique_ptr<Conntrack>(new Conntrack(std::move(*netlink)));
  Throw(info.Env(), netlink.failure());
  return nullptr;
}

std::vector<napi_property_descriptor> Conntrack::Methods(Addon* addon) {
  return {Wrap<Conntrack>::Method<&Conntrack::Relate>("relate", addon)};
}

int Conntrack::Find(const ConnectionTuple& tuple, Entry* entry) {
  NetlinkMessage message = Request(IPCTNL_MSG_CT_GET, 0, tuple);
  PutTuple(message, CTA_TUPLE_ORIG, tuple);
  return netlink_->Dump(message, [&](const struct nlmsghdr* header) {
    if (header->nlmsg_len < NLMSG_SPACE(sizeof(struct nfgenmsg))) return;
    auto* data = static_cast<const uint8_t*>(NLMSG_DATA(header)) + NLMSG_ALIGN(sizeof(struct nfgenmsg));
    NetlinkAttributes attributes(data, header->nlmsg_len - NLMSG_SPACE(sizeof(struct nfgenmsg)));
    entry->original = ReadTuple(attributes, CTA_TUPLE_ORIG);
    entry->reply = ReadTuple(attributes, CTA_TUPLE_REPLY);
  });
}

// An entry that is made so takes no part in NAT rules, which are for unconfirmed ones: it gets its master's
// translation.
int Conntrack::Create(const ConnectionTuple& connection, const Entry& master) {
  NetlinkMessage message = Request(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, connection);
  PutTuple(message, CTA_TUPLE_ORIG, connection);
  PutTuple(message, CTA_TUPLE_REPLY, connection.Reversed());
  PutTuple(message, CTA_TUPLE_MASTER, master.original);
  message.PutU32(CTA_TIMEOUT, htonl(kSeconds));
  if (Same(connection.source, master.original.source) && !Same(master.reply.destination, master.original.source)) {
    PutNat(message, CTA_NAT_SRC, connection, master.reply.destination);
  }
  if (Same(connection.destination, master.original.destination) &&
      !Same(master.reply.source, master.original.destination)) {
    PutNat(message, CTA_NAT_DST, connection, master.reply.source);
  }
  return netlink_->Request(message);
}

Napi::Value Conntrack::Relate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  std::optional<ConnectionTuple> connection = ReadArgument(args, "connection");
  std::optional<ConnectionTuple> control = args.ok() ? ReadArgument(args, "master") : std::nullopt;
  if (!args.ok()) return env.Undefined();
  Entry master = {};
  int error = Find(*control, &master);
  // Seen behind a translation, it is the reply's tuple that is known.
  if (error == -ENOENT) error = Find(control->Reversed(), &master);
  if (error == -ENOENT) return Napi::String::New(env, "no-master");
  if (error != 0) return Throw(env, SystemFailure(-error, "IPCTNL_MSG_CT_GET", "ask connection tracking"));
  error = Create(*connection, master);
  if (error == -EEXIST) return Napi::String::New(env, "exists");
  if (error == -ENOENT) return Napi::String::New(env, "no-master");
  if (error != 0) return Throw(env, SystemFailure(-error, "IPCTNL_MSG_CT_NEW", "tell connection tracking"));
  return Napi::String::New(env, "made");
}

}  // namespace relatd
