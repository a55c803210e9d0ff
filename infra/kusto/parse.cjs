// Parses Kusto queries with Microsoft's language service. Takes {tables: {name: schema}, queries: {name: text}} on
// standard input; prints the faults as a list of {query, message, at}, `at` counted in characters from 0.
require('@kusto/language-service-next/bridge.min.js');
require('@kusto/language-service-next/Kusto.Language.Bridge.min.js');

const { KustoCode, GlobalState, Symbols } = Kusto.Language;
const { tables, queries } = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));

const symbols = new (System.Collections.Generic.List$1(Symbols.Symbol).ctor)();
for (const [name, schema] of Object.entries(tables)) symbols.add(new Symbols.TableSymbol.$ctor7(name, schema, null));
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1('workspace', symbols, false));

const faults = [];
for (const [query, text] of Object.entries(queries)) {
  const found = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  for (let i = 0; i < found.Count; i++) {
    const { Message: message, Start: at } = found.getItem(i);
    faults.push({ query, message, at });
  }
}
process.stdout.write(JSON.stringify(faults));
