import { Graphviz } from '@hpcc-js/wasm-graphviz';
import { describe, expect, test } from 'vitest';
import { boot, settings } from '../model/design.ts';
import { designs } from '../model/designs/index.ts';
import { properties } from '../properties/index.ts';
import { plainSweep } from '../properties/search/plain-sweep.ts';
import { type StateSpace, stateSpace } from '../properties/search/state-space.ts';
import { dot } from './dot.ts';

const canaries = designs.filter(({ name }) => name.startsWith('canary-'));
const booted = canaries.flatMap((design) => settings(design).map((knobs) => boot(design, knobs)));

interface Drawn {
  readonly objects?: readonly { readonly name: string; readonly label: string; readonly color?: string }[];
  readonly edges?: readonly { readonly tail: number; readonly head: number; readonly label: string }[];
}
/** What Graphviz itself reads. */
const read = async (text: string): Promise<Drawn> =>
  JSON.parse((await Graphviz.load()).layout(text, 'json', 'dot')) as Drawn;

describe('a state space drawn', () => {
  test('is laid out by Graphviz: as many nodes and arrows as the plain sweep counts states and steps', async () => {
    for (const each of booted) {
      const swept = plainSweep(each, properties);
      const drawn = await read(dot(stateSpace(each, properties), each.design.name));
      expect(drawn.objects?.length).toBe(swept.states);
      expect(drawn.edges?.length).toBe(swept.transitions);
    }
  });
  test('shows what is broken in red, and only there', async () => {
    for (const each of booted) {
      const space = stateSpace(each, properties);
      const drawn = await read(dot(space, each.design.name));
      expect(drawn.objects?.filter(({ color }) => color !== undefined).map(({ name }) => name)).toEqual(
        space.states.flatMap(({ breaks }, at) => (breaks.length > 0 ? [`s${at}`] : [])),
      );
    }
    const [, opposite] = booted as [unknown, (typeof booted)[0]];
    expect(stateSpace(opposite, properties).states.filter(({ breaks }) => breaks.includes('no-deadlock')).length).toBe(
      1,
    );
  });
  test('copes with every sign that a name may have', async () => {
    const name = 'a "quoted\\" <name>\n{|}; end';
    const space: StateSpace = {
      states: [{ threads: [{ name, state: 'blocked', waitsFor: name }], resting: true, breaks: [] }],
      steps: [{ from: 0, to: 0, word: name, breaks: [name] }],
    };
    const drawn = await read(dot(space, name));
    expect([drawn.objects?.length, drawn.edges?.length]).toEqual([1, 1]);
  });
  test('is refused when it is too large to look at, saying so', () => {
    const [first] = booted as [(typeof booted)[0]];
    expect(() => stateSpace(first, properties, true, 3)).toThrow(/more than 3 states are too many to draw/);
  });
});
