// SPDX-License-Identifier: Apache-2.0
#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

namespace relatd {
namespace {

constexpr uint32_t kSequence = 1;

}  // namespace

NetlinkMessage::NetlinkMessage(uint16_t type, uint16_t flags) {
  auto* header = Header<struct nlmsghdr>();
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = kSequence;
}

void NetlinkMessage::Put(uint16_t type, const void* data, size_t length) {
  size_t at = bytes_.size();
  bytes_.resize(at + RTA_ALIGN(RTA_LENGTH(length)));
  auto* attribute = reinterpret_cast<struct rtattr*>(bytes_.data() + at);
  attribute->rta_type = type;
  attribute->rta_len = static_cast<uint16_t>(RTA_LENGTH(length));
  if (length > 0) memcpy(RTA_DATA(attribute), data, length);
}

size_t NetlinkMessage::Begin(uint16_t type) {
  size_t at = bytes_.size();
  Put(type | NLA_F_NESTED, nullptr, 0);
  return at;
}

void NetlinkMessage::End(size_t nest) {
  reinterpret_cast<struct rtattr*>(bytes_.data() + nest)->rta_len = static_cast<uint16_t>(bytes_.size() - nest);
}

std::vector<uint8_t>& NetlinkMessage::Finish() {
  reinterpret_cast<struct nlmsghdr*>(bytes_.data())->nlmsg_len = static_cast<uint32_t>(bytes_.size());
  return bytes_;
}

const struct rtattr* NetlinkAttributes::Seek(uint16_t type) const {
  auto* attribute = static_cast<const struct rtattr*>(data_);
  auto left = static_cast<int>(length_);
  for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if ((attribute->rta_type & NLA_TYPE_MASK) == type) return attribute;
  }
  return nullptr;
}

std::string_view NetlinkAttributes::Find(uint16_t type) const {
  const struct rtattr* attribute = Seek(type);
  if (attribute == nullptr) return {};
  return {static_cast<const char*>(RTA_DATA(attribute)), RTA_PAYLOAD(attribute)};
}

bool NetlinkAttributes::Has(uint16_t type) const {
  return Seek(type) != nullptr;
}

uint32_t NetlinkAttributes::U32(uint16_t type) const {
  std::string_view bytes = Find(type);
  uint32_t value = 0;
  if (bytes.size() >= sizeof(value)) memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

uint16_t NetlinkAttributes::U16(uint16_t type) const {
  std::string_view bytes = Find(type);
  uint16_t value = 0;
  if (bytes.size() >= sizeof(value)) memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

std::string_view NetlinkAttributes::Text(uint16_t type) const {
  std::string_view bytes = Find(type);
  return bytes.substr(0, bytes.find('\0'));
}

NetlinkAttributes NetlinkAttributes::Nest(uint16_t type) const {
  std::string_view bytes = Find(type);
  return {bytes.data(), bytes.size()};
}

Result<Netlink> Netlink::Open(uint32_t groups, int protocol) {
  int type = SOCK_RAW | SOCK_CLOEXEC | (groups != 0 ? SOCK_NONBLOCK : 0);
  Fd fd(socket(AF_NETLINK, type, protocol));
  struct sockaddr_nl address = {};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (!fd.open() || bind(fd.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof(address)) != 0) {
    return SystemFailure(errno, "socket", "open a netlink socket");
  }
  return Netlink(std::move(fd));
}

int Netlink::Send(NetlinkMessage& message) {
  std::vector<uint8_t>& bytes = message.Finish();
  struct sockaddr_nl kernel = {};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent =
      sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<struct sockaddr*>(&kernel), sizeof(kernel));
  return sent < 0 ? -errno : 0;
}

int Netlink::Request(NetlinkMessage& message) {
  return Dump(message, [](const struct nlmsghdr*) {});
}

int Netlink::Dump(NetlinkMessage& message, const std::function<void(const struct nlmsghdr*)>& each) {
  int error = Send(message);
  if (error != 0) return error;
  std::vector<uint8_t> buffer(65536);
  for (;;) {
    ssize_t length = recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return -errno;
    auto left = static_cast<uint32_t>(length);
    for (auto* header = reinterpret_cast<struct nlmsghdr*>(buffer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_seq != kSequence) continue;
      if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
        // Both carry the result as their first word.
        return header->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) ? *static_cast<int*>(NLMSG_DATA(header)) : 0;
      }
      each(header);
    }
  }
}

}  // namespace relatd
