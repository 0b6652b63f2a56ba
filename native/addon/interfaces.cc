// SPDX-License-Identifier: Apache-2.0
#include "interfaces.h"

#include <linux/if_link.h>
#include <sys/socket.h>

#include "netlink.h"

namespace relatd {
namespace {

std::optional<uint32_t> Optional(const NetlinkAttributes& attributes, uint16_t type) {
  uint32_t value = attributes.U32(type);
  return attributes.Has(type) ? std::optional<uint32_t>(value) : std::nullopt;
}

std::string AddressText(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (char c : bytes) {
    auto byte = static_cast<uint8_t>(c);
    if (!text.empty()) text += ':';
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

Interface Parse(const struct nlmsghdr* header) {
  auto* info = static_cast<const struct ifinfomsg*>(NLMSG_DATA(header));
  NetlinkAttributes attributes(IFLA_RTA(info), IFLA_PAYLOAD(header));
  NetlinkAttributes linkinfo = attributes.Nest(IFLA_LINKINFO);
  Interface result = {};
  result.index = static_cast<uint32_t>(info->ifi_index);
  result.name = attributes.Text(IFLA_IFNAME);
  result.kind = linkinfo.Text(IFLA_INFO_KIND);
  result.type = info->ifi_type;
  result.flags = info->ifi_flags;
  result.mtu = attributes.U32(IFLA_MTU);
  result.address = AddressText(attributes.Find(IFLA_ADDRESS));
  result.master = Optional(attributes, IFLA_MASTER);
  // A tunnel without a lower device has IFLA_LINK 0.
  if (attributes.U32(IFLA_LINK) != 0) result.link = attributes.U32(IFLA_LINK);
  result.link_netnsid = Optional(attributes, IFLA_LINK_NETNSID);
  if (result.kind == "vlan") result.vlan = linkinfo.Nest(IFLA_INFO_DATA).U16(IFLA_VLAN_ID);
  return result;
}

}  // namespace

Result<std::vector<Interface>> ListInterfaces() {
  Result<Netlink> netlink = Netlink::Open();
  if (!netlink.ok()) return netlink.failure();
  NetlinkMessage message(RTM_GETLINK, NLM_F_DUMP);
  message.Header<struct ifinfomsg>()->ifi_family = AF_UNSPEC;
  message.PutU32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  std::vector<Interface> interfaces;
  int error = netlink->Dump(message, [&](const struct nlmsghdr* header) {
    if (header->nlmsg_type == RTM_NEWLINK) interfaces.push_back(Parse(header));
  });
  if (error != 0) return SystemFailure(-error, "RTM_GETLINK", "list the network interfaces");
  return interfaces;
}

}  // namespace relatd
