--- One suggestion in one buffer: what of it is still to be typed, and how it gets into the text.
local M = {}

---@alias cato.Size "all"|"word"|"line"

---@class cato.Suggestion
---@field bufnr integer
---@field row integer 0-based
---@field start_col integer Byte where the suggestion's text begins, in front of what is already typed of it.
---@field tail integer Bytes of the line behind the suggestion's end, which it leaves as they are.
---@field text string
---@field item lsp.InlineCompletionItem
local Suggestion = {}
Suggestion.__index = Suggestion

--- Take an item of the server's answer.
---@param bufnr integer
---@param item lsp.InlineCompletionItem
---@param line string The line as it was when the request was sent.
---@param encoding string
---@param cursor { [1]: integer, [2]: integer } Row (0-based) and byte of the request, for items without a range.
---@return cato.Suggestion
function M.new(bufnr, item, line, encoding, cursor)
  local row, first, last = cursor[1], cursor[2], cursor[2]
  if item.range then
    row = item.range.start.line
    first = vim.str_byteindex(line, encoding, item.range.start.character, false)
    last = vim.str_byteindex(line, encoding, item.range["end"].character, false)
  end
  local text = type(item.insertText) == "table" and item.insertText.value or item.insertText
  ---@cast text string
  return setmetatable(
    { bufnr = bufnr, row = row, start_col = first, tail = #line - last, text = text, item = item },
    Suggestion
  )
end

--- What is left of the suggestion at the cursor; nil when the person typed something else.
---@return string? rest
---@return integer row
---@return integer col
function Suggestion:rest()
  local position = vim.api.nvim_win_get_cursor(0)
  local row, col = position[1] - 1, position[2]
  local line = vim.api.nvim_get_current_line()
  if vim.api.nvim_get_current_buf() ~= self.bufnr or row ~= self.row or col < self.start_col then
    return nil, row, col
  end
  local typed = line:sub(self.start_col + 1, col)
  if #line - self.tail < col or not vim.startswith(self.text, typed) or #typed >= #self.text then
    return nil, row, col
  end
  return self.text:sub(#typed + 1), row, col
end

--- The first word of a text, with the blanks before it.
---@param text string
---@return string
function M.first_word(text)
  return text:match("^%s*[%w_\128-\255]+") or text:match("^%s*[^%w%s_\128-\255]+") or text
end

--- The first line of a text with its end; where the text begins with a line end, the line after it.
---@param text string
---@return string
function M.first_line(text)
  local start, line = text:match("^(\n*)([^\n]*)")
  return start .. line
end

--- Insert the suggestion, or its first word or line, behind what is typed of it.
---@param size cato.Size
---@return boolean accepted
function Suggestion:accept(size)
  local rest, row, col = self:rest()
  if not rest then
    return false
  end
  local part = size == "word" and M.first_word(rest) or size == "line" and M.first_line(rest) or rest
  local whole = part == rest
  local stop = whole and #vim.api.nvim_get_current_line() - self.tail or col
  local lines = vim.split(part, "\n", { plain = true })
  vim.api.nvim_buf_set_text(self.bufnr, row, col, row, stop, lines)
  vim.api.nvim_win_set_cursor(0, { row + #lines, (#lines == 1 and col or 0) + #lines[#lines] })
  self:report(whole, #self.text - #rest + #part)
  return true
end

--- Tell the server what became of its suggestion.
---@param whole boolean
---@param length integer Bytes of the text that are now in the document.
function Suggestion:report(whole, length)
  local server = require("cato.server")
  local client = server.client()
  if not client then
    return
  end
  if whole then
    if self.item.command then
      client:exec_cmd(self.item.command, { bufnr = self.bufnr })
    end
  else
    local accepted = vim.str_utfindex(self.text, "utf-16", length, false)
    client:notify("textDocument/didPartiallyAcceptCompletion", { item = self.item, acceptedLength = accepted })
  end
end

return M
