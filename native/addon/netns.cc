// SPDX-License-Identifier: Apache-2.0
#include "netns.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

namespace relatd {

Result<Fd> OpenOwnNamespace() {
  // Not /proc/self: that is the main thread, and a worker may be elsewhere.
  Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd.open()) return SystemFailure(errno, "open", "open the network namespace of this process");
  return fd;
}

Result<EnteredNamespace> EnteredNamespace::Enter(int namespace_fd) {
  Result<Fd> home = OpenOwnNamespace();
  if (!home.ok()) return home.failure();
  struct stat there = {}, here = {};
  if (fstat(namespace_fd, &there) == 0 && fstat(home->get(), &here) == 0 && there.st_ino == here.st_ino &&
      there.st_dev == here.st_dev) {
    return EnteredNamespace(Fd());
  }
  if (setns(namespace_fd, CLONE_NEWNET) != 0) {
    return PlainFailure(errno == EPERM ? Code::kNoPermission : Code::kNoNamespace,
                        errno == EPERM
                            ? "cannot enter the network namespace: Operation not permitted; run as root (setns needs "
                              "CAP_SYS_ADMIN)"
                            : "cannot enter the network namespace; check that it is still there: ip netns list",
                        errno, "setns");
  }
  return EnteredNamespace(std::move(*home));
}

EnteredNamespace::~EnteredNamespace() {
  if (!home_.open() || setns(home_.get(), CLONE_NEWNET) == 0) return;
  // Going on in a foreign namespace would attach and delete things at the wrong place.
  perror("relatd: cannot return to the own network namespace");
  abort();
}

}  // namespace relatd
