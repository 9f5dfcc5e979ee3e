--- Neovim's own |vim.lsp.inline_completion| (0.12), made safe: it shows, this module accepts.
---
--- Neovim keeps showing a suggestion after something else was typed, and would insert it over that; here such a
--- suggestion is hidden and cannot be accepted.
local server = require("cato.server")
local suggestion = require("cato.completion.suggestion")

local M = {}

local INVOKED = 1
local NAMESPACE = vim.api.nvim_create_namespace("nvim.lsp.inline_completion")

---@class cato.Asked
---@field line string
---@field cursor { [1]: integer, [2]: integer }
---@field suggestions cato.Suggestion[]

---@type table<integer, cato.Asked>
local asked = {}

--- A person wants another suggestion than the only one that is there: by how many to move on, and where.
---@type { count: integer, bufnr: integer, cursor: { [1]: integer, [2]: integer } }?
local wanted

---@param bufnr integer
---@param params table
---@param result table?
local function note(bufnr, params, result)
  if not result then
    local row = params.position.line
    local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ""
    local client = assert(server.client())
    local col = vim.str_byteindex(line, client.offset_encoding, params.position.character, false)
    asked[bufnr] = { line = line, cursor = { row, col }, suggestions = {} }
    if wanted and wanted.bufnr == bufnr and vim.deep_equal(wanted.cursor, { row, col }) then
      params.context.triggerKind = INVOKED
    else
      wanted = nil
    end
    return
  end
  local last, client = asked[bufnr], server.client()
  if last and client then
    last.suggestions = vim.tbl_map(function(item)
      return suggestion.new(bufnr, item, last.line, client.offset_encoding, last.cursor)
    end, result.items or result)
    if wanted and params.context.triggerKind == INVOKED then
      local count = wanted.count
      wanted = nil
      if #last.suggestions > 1 then
        -- After Neovim's own handler, which shows the first.
        vim.schedule(function()
          vim.lsp.inline_completion.select({ bufnr = bufnr, count = count })
        end)
      end
    end
    if last.suggestions[1] then
      client:notify("textDocument/didShowCompletion", { item = last.suggestions[1].item })
    end
  end
end

--- The suggestion whose text is `text`; without a text any that still fits what was typed.
---@param bufnr integer
---@param text? string
---@return cato.Suggestion?
local function fitting(bufnr, text)
  for _, each in ipairs((asked[bufnr] or {}).suggestions or {}) do
    if (text == nil or each.text == text) and each:rest() then
      return each
    end
  end
end

local function hide_stale()
  local bufnr = vim.api.nvim_get_current_buf()
  if not fitting(bufnr) then
    vim.api.nvim_buf_clear_namespace(bufnr, NAMESPACE, 0, -1)
  end
end

--- Turn completion on.
---@param group integer Of autocommands.
function M.enable(group)
  server.listen("textDocument/inlineCompletion", note)
  vim.lsp.inline_completion.enable(true)
  vim.api.nvim_create_autocmd({ "CursorMovedI", "TextChangedI", "TextChangedP" }, {
    group = group,
    -- After Neovim's own, which shows the old suggestion again.
    callback = vim.schedule_wrap(hide_stale),
  })
end

--- Turn completion on or off for all buffers.
---@param enabled boolean
function M.set_enabled(enabled)
  vim.lsp.inline_completion.enable(enabled)
end

---@return boolean
function M.visible()
  local marks = vim.api.nvim_buf_get_extmarks(0, NAMESPACE, 0, -1, { limit = 1 })
  return #marks > 0 and fitting(vim.api.nvim_get_current_buf()) ~= nil
end

--- Accept what is shown.
---@param size cato.Size
function M.accept(size)
  vim.lsp.inline_completion.get({
    on_accept = function(item)
      local text = type(item.insert_text) == "table" and item.insert_text.value or item.insert_text --[[@as string]]
      local found = fitting(vim.api.nvim_get_current_buf(), text)
      if found then
        found:accept(size)
      end
    end,
  })
end

--- Show another suggestion. The first time the server is asked for several: Neovim itself asks for one only.
---@param count integer
function M.select(count)
  local bufnr = vim.api.nvim_get_current_buf()
  local known = asked[bufnr]
  if known and #known.suggestions > 1 then
    vim.lsp.inline_completion.select({ count = count })
  elseif known then
    local position = vim.api.nvim_win_get_cursor(0)
    wanted = { count = count, bufnr = bufnr, cursor = { position[1] - 1, position[2] } }
    vim.api.nvim_exec_autocmds("CursorMovedI", { buffer = bufnr })
  end
end

function M.dismiss()
  asked[vim.api.nvim_get_current_buf()] = nil
  vim.lsp.inline_completion.get({
    on_accept = function() end,
  })
end

return M
