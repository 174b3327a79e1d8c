/**
 * `npm run conformance`: run the tests that state facts, and write model/CONFORMANCE.md from what they found.
 *
 * A fact may be stated by one test or by a group of them; it passed when all of those passed.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Row, showTable, stated, statedIn, wrongWith } from '../model/conformance.ts';

const HOME = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const ROOMS = ['model', 'properties'];

/** What vitest's JSON reporter says of one run, as far as it is needed here. */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly title: string;
      readonly status: string;
    }[];
  }[];
}

const slashes = (path: string): string => path.replaceAll('\\', '/');
const stating = ROOMS.flatMap((room) =>
  readdirSync(join(HOME, room), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.test.ts') && !path.endsWith('conformance.test.ts'))
    .map((path) => join(room, path)),
).filter((path) => statedIn(readFileSync(join(HOME, path), 'utf8')).length > 0);

function run(): Report {
  const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
  const file = join(folder, 'report.json');
  try {
    const args = ['vitest', 'run', '--tags-filter=!long', '--reporter=json', `--outputFile=${file}`, ...stating];
    const { error } = spawnSync('npx', args, { cwd: HOME, stdio: ['ignore', 'ignore', 'inherit'] });
    if (error) throw error;
    return JSON.parse(readFileSync(file, 'utf8')) as Report;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const rows = new Map<string, Row>();
for (const { name, assertionResults } of run().testResults)
  for (const { ancestorTitles, title, status } of assertionResults)
    for (const fact of [...ancestorTitles, title].flatMap(stated)) {
      const passed = status === 'passed' && (rows.get(fact.id)?.passed ?? true);
      rows.set(fact.id, { ...fact, file: slashes(relative(HOME, name)), passed });
    }
const all = [...rows.values()];
writeFileSync(join(HOME, 'model', 'CONFORMANCE.md'), showTable(all));
const failed = all.filter(({ passed }) => !passed);
const wrong = wrongWith(all);
process.stdout.write(
  `${all.length} facts tested, ${failed.length} failed: ${failed.map(({ id }) => id).join(', ') || 'none'}\n${wrong.map((what) => `${what}\n`).join('')}`,
);
process.exitCode = failed.length + wrong.length > 0 ? 1 : 0;
