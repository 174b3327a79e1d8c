/** `fenceproof init`: a commented design of the user's own to begin with, and a test of it. Nothing is overwritten. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { designs } from '../../model/designs/index.ts';
import { asTyped } from '../files.ts';
import { heeding, oneLine, refusal } from '../refusal.ts';
import { startingDesign, startingTest } from '../starting-design.ts';
import type { Terminal } from '../terminal.ts';

function designName(text: string): string {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(text))
    throw new InvalidArgumentError('a design has a name like my-driver: lower case, digits, hyphens');
  return text;
}

export function addInit(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  program
    .command('init')
    .summary('write a design of your own to begin with, and a test of it')
    .description('Write <name>.ts, a small commented design, and <name>.test.ts, a test of it, into this directory.')
    .argument('<name>', 'the name of the design, like my-driver', designName)
    .action((name: string) => finish(beginning(name, terminal)));
}

function beginning(name: string, { say, look: { paint } }: Terminal): number {
  if (designs.some((each) => each.name === name))
    throw refusal(`"${oneLine(name)}" is built in already; choose another name`);
  const files = [
    [`${name}.ts`, startingDesign(name)],
    [`${name}.test.ts`, startingTest(name)],
  ].map(([file = '', text = '']) => ({ path: join(process.cwd(), file), text }));
  const there = files.filter(({ path }) => existsSync(path)).map(({ path }) => asTyped(path));
  if (there.length > 0) throw refusal(`${there.join(' and ')}: there already; nothing was written`);
  for (const { path, text } of files) {
    heeding(() => writeFileSync(path, text, { flag: 'wx' }), asTyped(path));
    say(`${paint('good', 'wrote')} ${asTyped(path)}`);
  }
  say(`
Next:
  npx fenceproof check ./${name}.ts   ${paint('dim', 'search every state, at both settings of its knob')}
  npx fenceproof watch ./${name}.ts   ${paint('dim', 'the same again at every change')}
  npx vitest run ${name}              ${paint('dim', 'its test, once vitest is installed')}`);
  return 0;
}
