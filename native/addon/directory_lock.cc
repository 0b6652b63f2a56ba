// SPDX-License-Identifier: Apache-2.0
#include "directory_lock.h"

#include <errno.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "args.h"
#include "wrap.h"

namespace relatd {
namespace {

// 0 when it cannot be found: the holder is in another pid namespace, or /proc is hidden.
int HolderOf(int fd) {
  struct stat status = {};
  FILE* file = fopen("/proc/locks", "re");
  if (file == nullptr) return 0;
  int holder = 0;
  char line[256];
  while (fstat(fd, &status) == 0 && fgets(line, sizeof(line), file) != nullptr) {
    int pid = 0;
    unsigned int major_number = 0, minor_number = 0;
    unsigned long inode = 0;
    if (sscanf(line, "%*d: FLOCK ADVISORY WRITE %d %x:%x:%lu", &pid, &major_number, &minor_number, &inode) == 4 &&
        inode == status.st_ino && major_number == major(status.st_dev) && minor_number == minor(status.st_dev)) {
      holder = pid;
      break;
    }
  }
  fclose(file);
  return holder > 0 ? holder : 0;
}

}  // namespace

std::unique_ptr<DirectoryLock> DirectoryLock::New(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Args args(info);
  std::string path = args.String("path");
  if (!args.ok()) return nullptr;
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.open()) {
    Throw(env, SystemFailure(errno, "open", "open the directory " + path));
    return nullptr;
  }
  if (flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return std::make_unique<DirectoryLock>(std::move(fd));
  int error = errno;
  if (error != EWOULDBLOCK) {
    Throw(env, SystemFailure(error, "flock", "lock " + path));
    return nullptr;
  }
  int holder = HolderOf(fd.get());
  std::string who = holder != 0 ? "process " + std::to_string(holder) : "another process";
  Napi::Object object =
      ToError(env, PlainFailure(Code::kLocked, path + " is locked by " + who + "; end it first", error, "flock"));
  object.Set("pid", holder);
  napi_throw(env, object);
  return nullptr;
}

}  // namespace relatd
