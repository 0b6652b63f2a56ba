// SPDX-License-Identifier: Apache-2.0
import { formatProblem } from '@relatd/config';
import { describeHelper, loadDefinition, type HelperDefinition } from '@relatd/grammar';
import { definitions } from '@relatd/helpers';
import { RelatdError } from '@relatd/model';
import type { Run } from '../commands.js';
import { print } from '../context.js';
import { EXIT_DONE } from '../failure.js';

/** `relatd helper show`: a picture of a helper, or everything that is wrong with its definition. */
export const run: Run = async (context, { arguments: [, named = ''], options }) => {
  const definition = definitions.find(({ name }) => name === named) ?? (await fromFile(named));
  const { compiled, problems } = definition.compile();
  if (compiled === undefined)
    throw RelatdError.with({ problems: problems.map(formatProblem) }, 'CONFIG_INVALID', named, problems.length);
  if (options['json'] === true) {
    const { name, title, documents, protocol, port, dataPorts, dataProtocols, perMaster, expectation } = definition;
    const { phases, kinds, registers, rules } = compiled.machine;
    await print(
      context.stdout,
      JSON.stringify(
        {
          ...{ name, title, documents, protocol, port, dataPorts, dataProtocols, perMaster },
          expirationSeconds: expectation / 1000,
          ...{ phases, requests: kinds.slice(1), fields: registers },
          rules: rules.map((rule, index) => ({ ...rule, pattern: compiled.patterns[index] })),
        },
        null,
        2,
      ),
    );
  } else await print(context.stdout, describeHelper(definition, compiled));
  return EXIT_DONE;
};

async function fromFile(path: string): Promise<HelperDefinition> {
  const { definition, problems } = await loadDefinition(path, { judged: false });
  if (definition === undefined)
    throw RelatdError.with({ problems: problems.map(formatProblem) }, 'CONFIG_INVALID', path, problems.length);
  return definition;
}
