/**
 * JUnit XML, which every CI reads: a suite is a design, a case is a setting, a failure is what is not as it should be,
 * with the story of every counterexample that was not expected.
 */
import { XMLBuilder } from 'fast-xml-parser';
import { PLAIN, type Reporter, type RunFormat } from './reporter.ts';
import { type Result, complaints, resultOf } from './result.ts';
import { story } from './story.ts';

/** XML 1.0 has no place for control characters other than these three. */
// oxlint-disable-next-line no-control-regex
const allowed = (text: string): string => text.replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, '');
const builder = new XMLBuilder({
  ...{ ignoreAttributes: false, attributeNamePrefix: '@', textNodeName: '#text', format: true },
  suppressEmptyNode: true,
  suppressBooleanAttributes: false,
});

const seconds = (results: readonly Result[]): string =>
  results.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(3);
const failed = (result: Result): boolean => complaints(result).length > 0;

function testcase(result: Result): Record<string, unknown> {
  const { design, knobs, found } = result;
  const [broken] = found.filter(({ expected }) => !expected);
  const wrong = complaints(result);
  const stories = found.filter(({ expected }) => !expected).map(({ telling }) => story.render(telling, PLAIN));
  return {
    '@classname': design,
    '@name': knobs === '' ? 'its only setting' : knobs,
    '@time': seconds([result]),
    ...(wrong.length > 0
      ? {
          failure: {
            '@message': allowed(wrong.join('; ')),
            '@type': broken?.telling.blame?.property ?? 'expectation',
            '#text': allowed(`\n${[wrong.join('\n'), ...stories].join('\n\n')}\n`),
          },
        }
      : {}),
  };
}

function render(results: readonly Result[]): string {
  const designs = [...new Set(results.map(({ design }) => design))];
  const counts = (of: readonly Result[]): Record<string, string> => ({
    '@tests': String(of.length),
    '@failures': String(of.filter(failed).length),
    '@errors': '0',
    '@time': seconds(of),
  });
  const testsuite = designs.map((design) => {
    const own = results.filter((each) => each.design === design);
    return { '@name': design, ...counts(own), testcase: own.map(testcase) };
  });
  const xml = builder.build({
    '?xml': { '@version': '1.0', '@encoding': 'UTF-8' },
    testsuites: { '@name': 'fenceproof', ...counts(results), testsuite },
  });
  return `${xml.trimEnd()}\n`;
}

const says = 'JUnit XML, for every CI: a suite for each design, a case for each setting';
export const junitRun: RunFormat = { name: 'junit', says, render };
export const junit: Reporter = { name: 'junit', says, render: (telling) => render([resultOf(telling)]) };
