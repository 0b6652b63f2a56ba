// SPDX-License-Identifier: Apache-2.0
import { lockDirectory } from '../dist/index.js';

lockDirectory(process.argv[2]);
process.kill(process.pid, 'SIGKILL');
