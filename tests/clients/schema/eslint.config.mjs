import graphql from "@graphql-eslint/eslint-plugin";

const schema = process.env.SCHEMA;
export default [
  {
    files: ["**/*.graphql"],
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema } } },
    plugins: { "@graphql-eslint": graphql },
    rules: { ...graphql.configs["flat/schema-recommended"].rules, ...graphql.configs["flat/schema-relay"].rules },
  },
];
