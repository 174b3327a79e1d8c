import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { error as actionsError, notice as actionsNotice } from '@actions/core';
import { Ajv } from 'ajv';
import AjvDraft04 from 'ajv-draft-04';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { parse as parseJunit } from 'junit2json';
import { XmlDocument, XsdValidator } from 'libxml2-wasm';
import type { Log, PhysicalLocation, Result as SarifResult } from 'sarif';
import { describe, expect, test, vi } from 'vitest';
import { showKnobs } from '../model/design.ts';
import { github, githubRun } from './github.ts';
import { itf } from './itf.ts';
import itfSchema from './schemas/itf.json' with { type: 'json' };
import traceEventSchema from './schemas/trace-event.json' with { type: 'json' };
import { junit, junitRun } from './junit.ts';
import { mermaid } from './mermaid.ts';
import { perfetto } from './perfetto.ts';
import { tellings } from './every-telling.ts';
import { PLAIN } from './reporter.ts';
import { type Result, resultOf } from './result.ts';
import { sarif, sarifRun } from './sarif.ts';
import { type Telling, stepsOf } from './telling.ts';

const looping = tellings.filter((telling) => stepsOf(telling).some(({ loop }) => loop));
const rebooting = tellings.filter(({ steps }) => steps.some(({ kind }) => kind === 'reboot'));
const results: readonly Result[] = [
  ...tellings.slice(0, 20).map((telling, at) => ({
    ...resultOf(telling),
    found: [{ telling, expected: at % 2 === 0 }],
    oddities: at % 3 === 0 ? ['something, 100% odd:\nin two lines'] : [],
    seconds: at / 8,
    site: { file: '/abs/with #hash.ts', line: 1, column: 1 },
  })),
  { design: 'quiet', knobs: '', found: [], oddities: [], seconds: 0 },
];

test('the corpus has what the formats must cope with: circles, reboots, waits without a debtor, signs that mean something', () => {
  expect(tellings.length).toBeGreaterThan(100);
  expect(looping.length).toBeGreaterThan(3);
  expect(rebooting.length).toBeGreaterThan(0);
});

const options = { strict: false, validateFormats: false, unicodeRegExp: false };
/** What a schema says is wrong with a value, or nothing. */
const checker = (schema: object, draft04 = false): ((value: unknown) => string | undefined) => {
  const ajv = draft04 ? new AjvDraft04.default(options) : new Ajv(options);
  const valid = ajv.compile(schema);
  return (value) => (valid(value) ? undefined : ajv.errorsText(valid.errors));
};

describe('SARIF', () => {
  const schema = createRequire(import.meta.url)('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json') as object;
  const wrong = checker(schema, true);
  const read = (text: string): Log => JSON.parse(text) as Log;
  const resultsOf = (text: string): SarifResult[] => read(text).runs[0]?.results ?? [];
  const placeOf = ({ locations = [] }: SarifResult): PhysicalLocation => locations[0]?.physicalLocation ?? {};

  test('every counterexample, and a whole run, is valid by the schema of OASIS', () => {
    for (const telling of tellings) expect(wrong(read(sarif.render(telling, PLAIN)))).toBeUndefined();
    expect(wrong(read(sarifRun.render(results)))).toBeUndefined();
    expect(wrong(read(sarifRun.render([])))).toBeUndefined();
  });
  test('the schema is not a formality: it misses what is left out and refuses what it does not know', () => {
    const log = read(sarifRun.render(results));
    expect(wrong({ ...log, version: '2.0.0' })).toContain('version');
    expect(wrong({ ...log, runs: [{ ...log.runs[0], tool: {} }] })).toContain('driver');
    const [first] = resultsOf(sarifRun.render(results)) as [SarifResult];
    const nowhere = { ...first, locations: [{ physicalLocation: { ...placeOf(first), region: { startLine: 0 } } }] };
    expect(wrong({ ...log, runs: [{ ...log.runs[0], results: [nowhere] }] })).toContain('startLine');
  });
  test('a result names its rule, stands at a line of the design, and takes every step in order', () => {
    for (const telling of tellings) {
      const [run] = read(sarif.render(telling, PLAIN)).runs;
      const [result, ...more] = run?.results ?? [];
      expect(more).toEqual([]);
      const rule = run?.tool.driver.rules?.[result?.ruleIndex ?? -1]?.id;
      expect([result?.ruleId, rule]).toEqual([telling.blame?.property, telling.blame?.property]);
      if (stepsOf(telling).length === 0 || !result) continue;
      const place = placeOf(result);
      expect(place.artifactLocation?.uri).toBe('drivers/my%20driver.ts');
      expect(place.region?.startLine).toBeGreaterThan(0);
      const flows = result.codeFlows?.[0]?.threadFlows ?? [];
      const orders = flows.flatMap(({ locations }) => locations.map(({ executionOrder = 0 }) => executionOrder));
      expect(orders.toSorted((a, b) => a - b)).toEqual(stepsOf(telling).map(({ number }) => number));
    }
  });
  test('what was expected is a note, what was not is an error, and what is no counterexample has a rule of its own', () => {
    const all = resultsOf(sarifRun.render(results));
    expect(all.filter(({ level }) => level === 'note').length).toBe(10);
    expect(all.filter(({ ruleId }) => ruleId === 'expectation').length).toBe(7);
    expect(all.filter(({ level, ruleId }) => level === 'error' && ruleId !== 'expectation').length).toBe(10);
  });
  test('a file outside the directory is an absolute URI, with the signs that mean something in one', () => {
    const uris = resultsOf(sarifRun.render(results)).map((each) => placeOf(each).artifactLocation?.uri ?? '');
    expect(new Set(uris.map((each) => new URL(each, 'file:///here/').href))).toEqual(
      new Set(['file:///here/drivers/my%20driver.ts', 'file:///abs/with%20%23hash.ts']),
    );
  });
});

describe('JUnit XML', () => {
  test('is XML, whatever stands in a trace', () => {
    for (const telling of tellings) expect(XMLValidator.validate(junit.render(telling, PLAIN))).toBe(true);
    const [telling] = tellings as [Telling];
    const hostile = { ...telling, title: 'a ]]> </failure> & \u0007\u001b[31m\ud800 b "c"', design: '<d>&"' };
    const text = junit.render(hostile, PLAIN);
    expect(XMLValidator.validate(text)).toBe(true);
    const read = new XMLParser({ ignoreAttributes: false }).parse(text) as { testsuites: { testsuite: object } };
    expect(read.testsuites.testsuite).toMatchObject({ '@_name': '<d>&"' });
  });
  const schema = XsdValidator.fromDoc(
    XmlDocument.fromString(readFileSync(new URL('./schemas/junit.xsd', import.meta.url), 'utf8')),
  );
  /** What the schema of Jenkins says is wrong with a text, or nothing. */
  const wrong = (text: string): string | undefined => {
    const document = XmlDocument.fromString(text);
    try {
      schema.validate(document);
      return undefined;
    } catch (error) {
      return String(error);
    } finally {
      document.dispose();
    }
  };
  test('every counterexample, and a whole run, is valid by the schema of Jenkins', () => {
    for (const telling of tellings) expect(wrong(junit.render(telling, PLAIN)), telling.design).toBeUndefined();
    expect(wrong(junitRun.render(results))).toBeUndefined();
    expect(wrong(junitRun.render([]))).toBeUndefined();
  });
  test('the schema is no formality: it refuses what is not named, an unknown attribute, and what stands where it may not', () => {
    const text = junitRun.render(results);
    expect(wrong(text.replace(/(<testcase [^>]*?) name="[^"]*"/, '$1'))).toContain("'name'");
    expect(wrong(text.replace(/<testsuite (name="[^"]*") tests="\d+"/, '<testsuite $1'))).toContain("'tests'");
    expect(wrong(text.replace('<testcase ', '<testcase knobs="" '))).toContain("'knobs'");
    expect(wrong(text.replace('<testcase ', '<failure/><testcase '))).toContain("'failure'");
    expect(wrong(text.replace('<failure ', '<system-out/><failure '))).toContain("'failure'");
  });
  test('is read by a consumer: suites, cases, failures and times are those of the run', async () => {
    const read = await parseJunit(junitRun.render(results));
    if (!read || !('testsuite' in read)) throw new Error('no suites');
    const suites = read.testsuite ?? [];
    const cases = suites.flatMap(({ testcase = [] }) => testcase);
    expect(cases.map(({ classname, name }) => [classname, name])).toEqual(
      [...new Set(results.map(({ design }) => design))].flatMap((design) =>
        results.filter((each) => each.design === design).map(({ knobs }) => [design, knobs || 'its only setting']),
      ),
    );
    const failing = results.filter(
      ({ found, oddities }) => oddities.length > 0 || found.some((each) => !each.expected),
    );
    expect(cases.filter(({ failure }) => failure).length).toBe(failing.length);
    expect([read.tests, read.failures]).toEqual([results.length, failing.length]);
    expect(suites.reduce((sum, { tests = 0 }) => sum + tests, 0)).toBe(results.length);
    expect(read.time).toBeCloseTo(
      results.reduce((sum, { seconds }) => sum + seconds, 0),
      2,
    );
  });
  test('a failure tells the story; what was expected is none', async () => {
    const [telling] = tellings as [Telling];
    const told = junitRun.render([{ ...resultOf(telling), found: [{ telling, expected: false }] }]);
    expect(told).toContain('The argument');
    expect(junitRun.render([{ ...resultOf(telling), found: [{ telling, expected: true }] }])).not.toContain('<failure');
  });
});

describe('GitHub annotations', () => {
  /** What GitHub's own toolkit writes for these annotations. */
  const toolkit = (
    annotations: readonly {
      level: string;
      text: string;
      title: string;
      file?: string;
      line?: number;
      column?: number;
    }[],
  ) => {
    const out: string[] = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => out.push(String(text)) > 0);
    try {
      for (const { level, text, title, file, line, column } of annotations)
        (level === 'error' ? actionsError : actionsNotice)(text, {
          title,
          ...(file === undefined ? {} : { file, startLine: line ?? 0, startColumn: column ?? 0 }),
        });
    } finally {
      spy.mockRestore();
    }
    return out.join('');
  };
  test("are those that GitHub's own toolkit writes", () => {
    const [result] = results as [Result];
    const [{ telling }] = result.found as [Result['found'][0]];
    const told = { ...result, found: [{ telling, expected: false }], knobs: 'a=b' };
    const { blame, argued, design, knobs } = telling;
    const [, at] = /line=(\d+)/.exec(github.render(telling, PLAIN)) ?? [];
    const because = argued === null ? '' : `${argued}\n`;
    expect(githubRun.render([told])).toBe(
      toolkit([
        {
          ...{ level: 'error', title: `${design}: ${blame?.property}`, file: 'drivers/my driver.ts', column: 7 },
          ...{ text: `${blame?.what}\n${because}at ${showKnobs(knobs)}`, line: Number(at) },
        },
        {
          ...{ level: 'error', title: `${design} a=b`, text: 'something, 100% odd:\nin two lines' },
          ...{ file: '/abs/with #hash.ts', line: 1, column: 1 },
        },
      ]),
    );
  });
  test('take one line each, and nothing is said when all is well', () => {
    for (const line of githubRun.render(results).trimEnd().split('\n'))
      expect(line).toMatch(/^::(error|notice) title=/);
    expect(githubRun.render(results.slice(-1))).toBe('');
  });
});

type State = Record<string, unknown>;
interface Trace {
  readonly vars: string[];
  readonly loop?: number;
  readonly states: State[];
}
describe('ITF', () => {
  const wrong = checker(itfSchema);
  const read = (telling: Telling) => JSON.parse(itf.render(telling, PLAIN)) as Trace;

  test('every counterexample is valid by the schema of ADR 015', () => {
    for (const telling of tellings) expect(wrong(read(telling))).toBeUndefined();
  });
  test('the schema refuses null, a bare object in a map, and a state without its variables', () => {
    const trace = read(tellings[0] as Telling);
    const [state] = trace.states;
    expect(wrong({ ...trace, states: [{ ...state, action: null }] })).toBeDefined();
    expect(wrong({ ...trace, states: [{ ...state, action: { '#map': [{ a: 1 }] } }] })).toBeDefined();
    expect(wrong({ ...trace, vars: undefined })).toBeDefined();
  });
  test('there is a state for the start and after every step, and each has every variable', () => {
    for (const telling of tellings) {
      const { states, vars } = read(telling);
      expect(states.length).toBe(telling.steps.length + 1);
      for (const state of states) expect(Object.keys(state).sort()).toEqual(['#meta', ...vars].sort());
      expect(states.map(({ action }) => action)).toEqual([
        'boot',
        ...telling.steps.map((each) => (each.kind === 'step' ? each.word : 'reboot')),
      ]);
    }
  });
  test('the states are those of the machine: the last one, played on the plain reducer, is the same', () => {
    type Rows = Record<string, { '#map': [string, unknown][] }>;
    const plain = (state: unknown): Rows =>
      JSON.parse(JSON.stringify(state).replace(/\{"#bigint":"(\d+)"\}/g, '$1')) as Rows;
    for (const telling of [...looping.slice(0, 2), ...rebooting.slice(0, 2), ...tellings.slice(0, 10)]) {
      const { states } = read(telling);
      const cells = new Map(telling.boot.map(({ path, value }) => [JSON.stringify(path), value]));
      for (const each of telling.steps)
        for (const { path, value } of each.kind === 'reboot' ? telling.boot : each.writes)
          cells.set(JSON.stringify(path), value);
      const last = plain(states.at(-1));
      for (const [path, value] of cells) {
        const [table = '', row, field] = JSON.parse(path) as string[];
        const [, kept] = last[table]?.['#map'].find(([name]) => name === row) ?? [];
        const expected: unknown = JSON.parse(JSON.stringify(value).replaceAll('null', '""'));
        expect(field === undefined ? kept : (kept as State)[field], path).toEqual(expected);
      }
    }
  });
  test('a circle closes: the state before its first step is its last', () => {
    for (const telling of looping) {
      const { states, loop = 0 } = read(telling);
      const { '#meta': _before, action: _came, ...before } = states[loop - 1] as State;
      const { '#meta': _after, action: _went, ...after } = states.at(-1) as State;
      expect(after).toEqual(before);
    }
    expect(read(tellings.find((each) => !looping.includes(each)) as Telling).loop).toBeUndefined();
  });
});

interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly cat?: string;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: { readonly step: number; readonly owedBy: readonly string[] };
}
describe('the timeline for Perfetto', () => {
  const wrong = checker(traceEventSchema);
  const read = (telling: Telling) => JSON.parse(perfetto.render(telling, PLAIN)) as { traceEvents: TraceEvent[] };
  const slicesOf = (telling: Telling, category: string): TraceEvent[] =>
    read(telling).traceEvents.filter(({ ph, cat }) => ph === 'X' && cat === category);

  test('every counterexample is valid by the Trace Event Format', () => {
    for (const telling of tellings) expect(wrong(read(telling))).toBeUndefined();
  });
  test('the schema refuses a slice without an end, an arrow without a number, and a phase that there is not', () => {
    const { traceEvents } = read(tellings[0] as Telling);
    const without = (ph: string, key: string): unknown => {
      const event = traceEvents.find((each) => each.ph === ph);
      return JSON.parse(JSON.stringify({ traceEvents: [{ ...event, [key]: undefined }] }));
    };
    expect(wrong(without('X', 'dur'))).toBeDefined();
    expect(wrong(without('X', 'ts'))).toBeDefined();
    expect(wrong({ traceEvents: [{ ...traceEvents[0], ph: 'Z' }] })).toBeDefined();
    expect(wrong({ traceEvents: [{ ph: 's', name: 'a', cat: 'b', pid: 1, tid: 1, ts: 0 }] })).toBeDefined();
  });
  test('every thread has a track, every step a slice on its own, and slices of one track do not overlap', () => {
    for (const telling of tellings) {
      const { traceEvents } = read(telling);
      expect(traceEvents.filter(({ name }) => name === 'thread_name').length).toBe(telling.threads.length);
      expect(slicesOf(telling, 'step').map(({ args }) => args.step)).toEqual(
        stepsOf(telling).map(({ number }) => number),
      );
      const ended = (slice: TraceEvent | undefined): number => (slice ? slice.ts + slice.dur : 0);
      for (const { name: thread } of telling.threads) {
        const tid = telling.threads.findIndex(({ name }) => name === thread) + 1;
        const own = traceEvents
          .filter((each) => each.tid === tid && each.ph === 'X')
          .sort((a, b) => a.ts - b.ts || a.dur - b.dur);
        for (const [at, slice] of own.entries())
          expect(slice.ts, `${telling.design} ${thread}`).toBeGreaterThanOrEqual(ended(own[at - 1]));
      }
    }
  });
  test('an arrow leaves a wait and arrives where the debtor is: there are as many as debts', () => {
    for (const telling of tellings) {
      const { traceEvents } = read(telling);
      const arrows = traceEvents.filter(({ ph }) => ph === 's' || ph === 'f');
      const debts = slicesOf(telling, 'wait').reduce((sum, { args }) => sum + args.owedBy.length, 0);
      expect(arrows.length).toBe(2 * debts);
      for (const { tid, ts } of arrows)
        expect(
          traceEvents.some((each) => each.ph === 'X' && each.tid === tid && each.ts <= ts && ts < each.ts + each.dur),
        ).toBe(true);
    }
    expect(tellings.some((telling) => read(telling).traceEvents.some(({ ph }) => ph === 'f'))).toBe(true);
  });
});

describe('the sequence diagram', () => {
  test('every step is a note over its thread, and every debt of a thread that takes part an arrow', () => {
    for (const telling of tellings) {
      const text = mermaid.render(telling, PLAIN);
      for (const { number } of stepsOf(telling)) expect(text).toMatch(new RegExp(`Note over t\\d+: ${number}[.] `));
    }
    const deadlock = tellings.find(({ design, blame }) => design.includes('abba') && blame?.property === 'no-deadlock');
    expect(mermaid.render(deadlock as Telling, PLAIN).match(/t1--\)t2|t2--\)t1/g)?.length).toBe(2);
  });
});
