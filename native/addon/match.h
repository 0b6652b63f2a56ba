// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include "addon.h"

namespace relatd {

// pinMatch.
void DefineMatch(Napi::Env env, Napi::Object exports, Addon* addon);

}  // namespace relatd
