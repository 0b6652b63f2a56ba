// SPDX-License-Identifier: Apache-2.0
#include "bpffs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <memory>

namespace relatd {
namespace {

std::string Parent(const std::string& path) {
  size_t end = path.find_last_not_of('/');
  size_t slash = path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  size_t last = path.find_last_not_of('/', slash);
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

std::string BaseName(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

Failure NotBpffs(const std::string& path) {
  return PlainFailure(Code::kNoBpffs, path + " is not in a bpffs; mount one: mount -t bpf bpf /sys/fs/bpf", 0,
                      "statfs");
}

// bpffs keeps names with dots for itself and says only EPERM.
Status CheckName(const std::string& path) {
  if (BaseName(path).find('.') == std::string::npos) return std::nullopt;
  return ArgumentFailure("a pin's name cannot have a dot: " + path + "; use another name");
}

int RemoveBelow(int parent, const char* name, uint32_t* removed) {
  if (unlinkat(parent, name, 0) == 0) {
    ++*removed;
    return 0;
  }
  // Linux says EISDIR, POSIX allows EPERM.
  if (errno != EISDIR && errno != EPERM) return -errno;
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -errno;
  DIR* directory = fdopendir(fd);
  if (directory == nullptr) {
    int error = -errno;
    close(fd);
    return error;
  }
  int error = 0;
  while (struct dirent* entry = readdir(directory)) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int result = RemoveBelow(fd, entry->d_name, removed);
    // Gone meanwhile is as good; of real errors the first is reported, and the rest still tried.
    if (result != 0 && result != -ENOENT && error == 0) error = result;
  }
  closedir(directory);
  if (error == 0 && unlinkat(parent, name, AT_REMOVEDIR) != 0) error = -errno;
  return error;
}

}  // namespace

bool IsInBpffs(const std::string& path) {
  struct statfs filesystem = {};
  std::string at = path;
  while (statfs(at.c_str(), &filesystem) != 0) {
    // EPERM: a bpffs answers that for a name with a dot.
    if ((errno != ENOENT && errno != EPERM) || at == "/" || at == ".") return false;
    at = Parent(at);
  }
  return static_cast<uint64_t>(filesystem.f_type) == BPF_FS_MAGIC;
}

Status MakeDirectories(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return std::nullopt;
  if (path == "/" || path == ".") return std::nullopt;
  if (Status failure = MakeDirectories(Parent(path))) return failure;
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return std::nullopt;
  int error = errno;
  if (IsInBpffs(path)) {
    if (Status failure = CheckName(path)) return failure;
  }
  return SystemFailure(error, "mkdir", "make the directory " + path);
}

Result<bool> MountBpffs(const std::string& path) {
  if (IsInBpffs(path)) {
    if (Status failure = MakeDirectories(path)) return *failure;
    return false;
  }
  if (Status failure = MakeDirectories(path)) {
    failure->code = failure->code == Code::kNoPermission ? Code::kNoPermission : Code::kNoBpffs;
    return *failure;
  }
  // 0700, as systemd mounts it: pins are the state of a firewall.
  if (mount("bpf", path.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") == 0) return true;
  int error = errno;
  if (error == EPERM || error == EACCES) {
    return PlainFailure(Code::kNoPermission,
                        "cannot mount a bpffs at " + path +
                            ": Operation not permitted; run as root, or mount it before: mount -t "
                            "bpf bpf " +
                            path,
                        error, "mount");
  }
  if (error == ENODEV) {
    return PlainFailure(Code::kNoBpf, "this kernel has no bpf file system; use a kernel with CONFIG_BPF_SYSCALL", error,
                        "mount");
  }
  return SystemFailure(Code::kNoBpffs, error, "mount", "mount a bpffs at " + path);
}

Status PinObject(int fd, const std::string& path, bool replace) {
  if (!IsInBpffs(path)) return NotBpffs(path);
  if (Status failure = CheckName(path)) return failure;
  if (Status failure = MakeDirectories(Parent(path))) return failure;
  if (bpf_obj_pin(fd, path.c_str()) == 0) return std::nullopt;
  if (errno == EEXIST && replace) {
    // The process id keeps two writers apart; a rest of an earlier crash goes first.
    std::string fresh = path + "__" + std::to_string(getpid());
    unlink(fresh.c_str());
    if (bpf_obj_pin(fd, fresh.c_str()) == 0 && rename(fresh.c_str(), path.c_str()) == 0) return std::nullopt;
    int error = errno;
    unlink(fresh.c_str());
    errno = error;
  }
  return SystemFailure(errno, "BPF_OBJ_PIN", "pin at " + path);
}

Result<uint32_t> RemovePins(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0 && errno == ENOENT) return 0U;
  if (!IsInBpffs(path)) return NotBpffs(path);
  uint32_t removed = 0;
  int error = RemoveBelow(AT_FDCWD, path.c_str(), &removed);
  // EBUSY: the mount point itself, which stays.
  if (error == 0 || error == -ENOENT || error == -EBUSY) return removed;
  return SystemFailure(-error, "unlink", "remove the pins at " + path);
}

}  // namespace relatd
