// As much of Markdown as the book uses: headings, lists, tables, indented code, quotes of code; links as text.

/** Text with `code` and *emphasis* in it; of links their words. */
function inline(text) {
  const words = text.replace(/!\[([^\]]*)\]\([^)]*\)/g, "(Picture: $1.)").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1");
  return words.split(/(`[^`]*`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*)/).map((part) => {
    if (part.startsWith("`")) return el("code", {}, part.slice(1, -1));
    if (part.startsWith("**")) return el("b", {}, part.slice(2, -2));
    if (part.startsWith("*") && part.length > 1) return el("em", {}, part.slice(1, -1));
    return part;
  });
}

/** A document as elements. */
function markdown(text) {
  const blocks = [];
  const lines = text.split("\n");
  const take = (is) => {
    const found = [];
    while (lines.length > 0 && is(lines[0])) found.push(lines.shift());
    return found;
  };
  while (lines.length > 0) {
    const line = lines[0];
    if (line.trim() === "") lines.shift();
    else if (line.startsWith("#")) blocks.push(el("h4", {}, ...inline(lines.shift().replace(/^#+ /, ""))));
    else if (line.startsWith("    ")) {
      const code = take((l) => l.startsWith("    ") || l.trim() === "");
      blocks.push(el("pre", {}, code.map((l) => l.slice(4)).join("\n").trimEnd()));
    } else if (line.startsWith("```")) {
      lines.shift();
      blocks.push(el("pre", {}, take((l) => !l.startsWith("```")).join("\n")));
      lines.shift();
    } else if (line.startsWith("|")) blocks.push(markdownTable(take((l) => l.startsWith("|"))));
    else if (line.startsWith("- ")) {
      const items = take((l) => l.startsWith("- ") || l.startsWith("  ")).join("\n").split(/^- /m).slice(1);
      blocks.push(el("ul", {}, ...items.map((i) => el("li", {}, ...inline(i.replace(/\n\s*/g, " "))))));
    } else {
      const words = take((l) => l.trim() !== "" && !/^(#|\||- |```|    )/.test(l));
      if (words.length === 0) words.push(lines.shift());
      blocks.push(el("p", {}, ...inline(words.join(" "))));
    }
  }
  return blocks;
}

function markdownTable(lines) {
  const cells = (line) => line.split("|").slice(1, -1).map((c) => el("span", {}, ...inline(c.trim())));
  return table(cells(lines[0]), lines.slice(2).map(cells));
}
