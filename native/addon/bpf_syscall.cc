// SPDX-License-Identifier: Apache-2.0
#include "bpf_syscall.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace relatd {
namespace {

struct LinkCreateTcx {
  uint32_t program;
  uint32_t ifindex;
  uint32_t attach_type;
  uint32_t flags;
  uint32_t relative;
  uint32_t pad;
  uint64_t expected_revision;
};
static_assert(offsetof(LinkCreateTcx, relative) == 16);
static_assert(offsetof(LinkCreateTcx, expected_revision) == 24);

struct ProgQuery {
  uint32_t ifindex;
  uint32_t attach_type;
  uint32_t query_flags;
  uint32_t attach_flags;
  uint64_t programs;
  uint32_t count;
  uint32_t pad;
  uint64_t program_attach_flags;
  uint64_t links;
  uint64_t link_attach_flags;
  uint64_t revision;
};
static_assert(offsetof(ProgQuery, programs) == 16);
static_assert(offsetof(ProgQuery, links) == 40);
static_assert(offsetof(ProgQuery, revision) == 56);

struct TcxLink {
  uint32_t type;
  uint32_t id;
  uint32_t program_id;
  uint32_t pad;
  uint32_t ifindex;
  uint32_t attach_type;
  // The kernel fills more for other kinds of link.
  uint8_t rest[104];
};
static_assert(offsetof(TcxLink, ifindex) == 16);

template <class T>
int Bpf(int command, T* attributes) {
  long result = syscall(SYS_bpf, command, attributes, sizeof(*attributes));
  return result < 0 ? -errno : static_cast<int>(result);
}

const char* KindName(BpfKind kind) {
  switch (kind) {
    case BpfKind::kMap:
      return "map";
    case BpfKind::kProgram:
      return "program";
    case BpfKind::kLink:
      return "link";
    default:
      return "BPF object";
  }
}

}  // namespace

BpfKind KindOf(int fd) {
  char target[PATH_MAX];
  ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof(target) - 1);
  if (length < 0) return BpfKind::kOther;
  std::string_view name(target, static_cast<size_t>(length));
  if (name.find("bpf-map") != name.npos) return BpfKind::kMap;
  if (name.find("bpf-prog") != name.npos) return BpfKind::kProgram;
  if (name.find("bpf_link") != name.npos || name.find("bpf-link") != name.npos) return BpfKind::kLink;
  return BpfKind::kOther;
}

Result<Fd> OpenPin(const std::string& path, BpfKind kind) {
  Fd fd(bpf_obj_get(path.c_str()));
  if (!fd.open()) return SystemFailure(errno, "BPF_OBJ_GET", "open the pin " + path);
  if (KindOf(fd.get()) != kind) {
    return ArgumentFailure(path + " is not a pinned " + KindName(kind) + "; give the path of one");
  }
  return fd;
}

std::optional<TcxLinkInfo> ReadTcxLink(int link) {
  TcxLink info = {};
  uint32_t length = sizeof(info);
  if (bpf_obj_get_info_by_fd(link, &info, &length) != 0 || info.type != kLinkTypeTcx) return std::nullopt;
  return TcxLinkInfo{info.id, info.program_id, info.ifindex, info.attach_type};
}

int QueryTcx(uint32_t ifindex, uint32_t attach_type, TcxChain* chain) {
  // The kernel allows 64 programs per hook.
  uint32_t programs[64] = {};
  uint32_t links[64] = {};
  ProgQuery query = {};
  query.ifindex = ifindex;
  query.attach_type = attach_type;
  query.programs = reinterpret_cast<uint64_t>(programs);
  query.links = reinterpret_cast<uint64_t>(links);
  query.count = 64;
  int error = Bpf(BPF_PROG_QUERY, &query);
  if (error < 0) return error;
  chain->revision = query.revision;
  chain->programs.assign(programs, programs + query.count);
  chain->links.assign(links, links + query.count);
  return 0;
}

int CreateTcxLink(int program, uint32_t ifindex, uint32_t attach_type, uint32_t flags) {
  LinkCreateTcx create = {};
  create.program = static_cast<uint32_t>(program);
  create.ifindex = ifindex;
  create.attach_type = attach_type;
  create.flags = flags;
  // The kernel's bpf(2) sets O_CLOEXEC on every descriptor that it returns.
  return Bpf(BPF_LINK_CREATE, &create);
}

bool ReadProgramInfo(int program, struct bpf_prog_info* info) {
  memset(info, 0, sizeof(*info));
  uint32_t length = sizeof(*info);
  return bpf_obj_get_info_by_fd(program, info, &length) == 0;
}

std::string ProgramName(uint32_t id) {
  Fd fd(bpf_prog_get_fd_by_id(id));
  struct bpf_prog_info info;
  if (!fd.open() || !ReadProgramInfo(fd.get(), &info)) return {};
  return std::string(info.name, strnlen(info.name, sizeof(info.name)));
}

}  // namespace relatd
