// SPDX-License-Identifier: Apache-2.0
// @ts-check
import { writeFileSync } from 'node:fs';

/**
 * @typedef {{ name: string, reason: string }} Skip
 * @typedef {{ passed: number, failed: string[], skipped: Skip[], broken: string[] }} Report
 *   broken: files that did not load, hooks that threw, errors outside of any test
 */

/** Writes a Report as JSON to $RELATD_TEST_REPORT: vitest's own JSON does not say why a test was skipped. */
export default class TestReporter {
  /**
   * @param {readonly import('vitest/node').TestModule[]} modules
   * @param {readonly unknown[]} unhandled
   */
  onTestRunEnd(modules, unhandled) {
    /** @type {Report} */
    const report = { passed: 0, failed: [], skipped: [], broken: [] };
    for (const module of modules) {
      const file = `${module.project.name} ${module.relativeModuleId}`;
      if (module.errors().length > 0) report.broken.push(file);
      for (const suite of module.children.allSuites())
        if (suite.errors().length > 0) report.broken.push(`${file} > ${suite.fullName}`);
      for (const test of module.children.allTests()) {
        const result = test.result();
        const name = `${file} > ${test.fullName}`;
        if (result.state === 'passed') report.passed++;
        else if (result.state === 'skipped') report.skipped.push({ name, reason: result.note ?? 'no reason given' });
        // A test that never ran to its end is no pass.
        else report.failed.push(name);
      }
    }
    for (const error of unhandled)
      report.broken.push(`unhandled: ${error instanceof Error ? error.message : String(error)}`);
    const path = process.env['RELATD_TEST_REPORT'];
    if (path !== undefined) writeFileSync(path, JSON.stringify(report));
  }
}
