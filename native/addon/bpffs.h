// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "errors.h"

namespace relatd {

// Whether the path, or the nearest directory above it that exists, is in a bpffs.
bool IsInBpffs(const std::string& path);

// As mkdir -p, mode 0700.
Status MakeDirectories(const std::string& path);

// true: it had to mount.
Result<bool> MountBpffs(const std::string& path);

// Pins a descriptor and makes the directories above. `replace` puts it in the place of an older pin without a moment in
// which there is none; otherwise an older pin is RELATD_EXISTS.
Status PinObject(int fd, const std::string& path, bool replace);

// Removes files and directories below and including the path; how many files.
Result<uint32_t> RemovePins(const std::string& path);

}  // namespace relatd
