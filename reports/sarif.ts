/**
 * SARIF 2.1.0, for code scanning: a rule is a property, a result is a counterexample at the line of the design where it
 * shows, and its code flow is the run, a thread flow for each thread in the order in which they take their turns.
 */
import { showKnobs } from '../model/design.ts';
import type { Reporter, RunFormat } from './reporter.ts';
import { type Found, type Result, resultOf, siteOfVerdict } from './result.ts';
import { type Site, type Telling, stepsOf } from './telling.ts';

const SCHEMA = 'https://json.schemastore.org/sarif-2.1.0.json';
const INDENT = 2;
/** The rule of what is no counterexample: a verdict that was expected and not reached. */
const EXPECTATION = 'expectation';

const isAbsolute = (file: string): boolean => /^([\\/]|[A-Za-z]:)/.test(file);
/** A file as a URI reference: relative to where the program was started, or absolute. */
const uri = (file: string): string => {
  const path = encodeURI(file.replaceAll('\\', '/')).replaceAll('#', '%23').replaceAll('?', '%3F');
  return isAbsolute(file) ? `file://${path.startsWith('/') ? '' : '/'}${path}` : path;
};

const location = (design: string, site: Site | undefined, text?: string): Record<string, unknown> => ({
  ...(site
    ? {
        physicalLocation: {
          artifactLocation: { uri: uri(site.file) },
          region: { startLine: site.line, startColumn: site.column },
        },
      }
    : {}),
  logicalLocations: [{ fullyQualifiedName: design, kind: 'module' }],
  ...(text === undefined ? {} : { message: { text } }),
});

/** The run: what each thread does, with the place of every step among all of them. */
const codeFlow = (telling: Telling): Record<string, unknown> => ({
  message: { text: `${stepsOf(telling).length} steps` },
  threadFlows: telling.threads
    .filter(({ name }) => stepsOf(telling).some(({ thread }) => thread === name))
    .map(({ name }) => ({
      id: name,
      locations: stepsOf(telling)
        .filter(({ thread }) => thread === name)
        .map(({ number, line, site, stack, word }) => ({
          location: location(telling.design, site, line),
          executionOrder: number,
          nestingLevel: Math.max(0, stack.length - 1),
          properties: { word },
        })),
    })),
});

const message = ({ blame, says, argued, knobs }: Telling): string =>
  [
    blame?.what ?? '',
    says,
    ...(argued === null ? [] : [argued]),
    `Setting: ${showKnobs(knobs) || 'the only one'}. Rules: ${blame?.rules.join(', ') ?? ''}.`,
  ].join('\n\n');

function counterexample({ telling, expected }: Found, site: Site | undefined): Record<string, unknown> {
  const { design, knobs, blame, workload } = telling;
  const flow = codeFlow(telling);
  return {
    ruleId: blame?.property ?? '',
    level: expected ? 'note' : 'error',
    message: { text: message(telling) },
    locations: [location(design, siteOfVerdict(telling) ?? site)],
    ...(stepsOf(telling).length > 0 ? { codeFlows: [flow] } : {}),
    partialFingerprints: { 'fenceproof/v1': [design, showKnobs(knobs), blame?.property, blame?.kind].join('|') },
    properties: { design, knobs, workload, kind: blame?.kind ?? '', expected },
  };
}

/** What is not as it should be and is no counterexample of its own. */
const others = ({ design, knobs, oddities, site }: Result): Record<string, unknown>[] =>
  oddities.map((what) => ({
    ruleId: EXPECTATION,
    level: 'error',
    message: { text: `${[design, knobs].filter((part) => part !== '').join(' ')}: ${what}` },
    locations: [location(design, site)],
    partialFingerprints: { 'fenceproof/v1': [design, knobs, what].join('|') },
  }));

function rules(results: readonly Result[], used: ReadonlySet<unknown>): Record<string, unknown>[] {
  const tellings = results.flatMap(({ found }) => found.map(({ telling }) => telling));
  const says = new Map(tellings.map((telling) => [telling.blame?.property ?? '', telling] as const));
  return [...used].map(String).map((id) => {
    const telling = says.get(id as never);
    const text = telling?.says ?? 'a design expects a verdict that the search did not reach';
    return { id, name: id, shortDescription: { text }, defaultConfiguration: { level: 'error' } };
  });
}

function render(results: readonly Result[]): string {
  const all = results.flatMap((result) => [
    ...result.found.map((found) => counterexample(found, result.site)),
    ...others(result),
  ]);
  const ids = new Set(all.map((each) => each['ruleId']));
  const log = {
    $schema: SCHEMA,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'fenceproof', rules: rules(results, ids) } },
        columnKind: 'utf16CodeUnits',
        results: all.map((each) => ({ ...each, ruleIndex: [...ids].indexOf(each['ruleId']) })),
      },
    ],
  };
  return `${JSON.stringify(log, null, INDENT)}\n`;
}

const says = "SARIF 2.1.0 for code scanning: results at the design's source lines, with the run as a code flow";
export const sarifRun: RunFormat = { name: 'sarif', says, render };
export const sarif: Reporter = { name: 'sarif', says, render: (telling) => render([resultOf(telling)]) };
