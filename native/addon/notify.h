// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <napi.h>

#include "addon.h"

namespace relatd {

void DefineNotify(Napi::Env env, Napi::Object exports, Addon* addon);

}  // namespace relatd
